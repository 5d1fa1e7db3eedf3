"""1,000 alert rules as a team with 50 models and five components has them: one each for what they watch, with its own
threshold."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Sequence

from django.db import connection

import promql
from alerts.evaluation.tick import tick
from alerts.models import Alert, Rule, RuleGroup
from bench.bench_alerts import core_seconds
from bench.row import Measurement, added_mib, row
from usage.series.source import PostgresSource

GROUPS, MODELS, TICKS = 20, 50, 5
EXPRESSIONS = (
    'sum by (model) (rate(llm_provider_tokens_total{{model="m{model}"}}[5m])) > $threshold',
    'sum by (component) (increase(compozy_llm_usage_events_total{{model="m{model}", component="c{component}"}}[15m]))'
    " > $threshold",
    '100 * sum(increase(compozy_llm_usage_failures_total{{model="m{model}"}}[15m]))'
    ' / sum(increase(compozy_llm_usage_events_total{{model="m{model}"}}[15m])) > $threshold',
    'histogram_quantile(0.95, sum by (le) (rate(llm_provider_request_seconds_bucket{{model="m{model}"}}[5m]))) >'
    " $threshold",
)


def make_thousand() -> None:
    """The rules, in groups of fifty that are evaluated every minute; a twentieth of them fires."""
    Alert.objects.all().delete()
    Rule.objects.all().delete()
    RuleGroup.objects.all().delete()
    groups = [RuleGroup.objects.create(name=f"group {number}", interval_seconds=60) for number in range(GROUPS)]
    Rule.objects.bulk_create(
        Rule(
            group=groups[number % GROUPS],
            position=number,
            name=f"rule {number}",
            expr=EXPRESSIONS[number % 4].format(model=number // 4 % MODELS, component=number // 200),
            threshold=0 if number % 20 == 0 else 1e9,
        )
        for number in range(1000)
    )


class Counting:
    """Counts the reads of another source."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner, self.reads = inner, 0

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        self.reads += 1
        return self.inner.select(matchers, start_ms, end_ms, hints)


def measure_thousand(end: int) -> Measurement:
    """Core seconds (this process and its Postgres session) of the median of some ticks up to `end` (epoch seconds)."""
    make_thousand()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    seconds, reads = [], 0
    last = dt.datetime.fromtimestamp(end, dt.UTC)
    for number in range(TICKS):
        source = Counting(PostgresSource(now=end))
        started = core_seconds(backend)
        tick(last - dt.timedelta(minutes=TICKS - number), source)
        seconds.append(core_seconds(backend) - started)
        reads = max(reads, source.reads)
    added = added_mib(lambda: tick(last, PostgresSource(now=end)))
    broken = Rule.objects.exclude(health="ok").first()
    if broken is not None:
        raise SystemExit(f"{broken.name} was not evaluated: {broken.last_error}")
    note = (
        f"{reads} reads, {Alert.objects.count()} alerts, median of {TICKS} ticks, the slowest {max(seconds):.2f};"
        f" {added}"
    )
    return row("1,000 rules over 1,600 series in one tick", statistics.median(seconds), 1.0, "s", "<= 1", note)
