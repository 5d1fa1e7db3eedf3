"""10,000 alerts that fire, of 1,000 rules in 20 groups of a minute: each tick in time, the page of alerts within 300 ms
of a core, and a worker's memory flat.

Ten series of each rule are over its threshold all the time, so that a tick reads, judges and writes 10,000 open alerts.
Counted is the processor time of the process and of its Postgres session, which take turns. "In time" means: all groups
of a minute are done in less than a minute of one core, with room for the rest of the portal (a tenth of it).
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import statistics
import time

import numpy as np
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

import promql
from alerts.evaluation.tick import tick
from alerts.models import Alert, Flip, Rule, RuleGroup
from bench.bench_alerts import core_seconds
from bench.row import Measurement, row

RULES, GROUPS, EACH, TICKS, PAGES = 1_000, 20, 10, 12, 10
MINUTE = dt.timedelta(minutes=1)
TICK_SECONDS, PAGE_SECONDS, GROWN_MIB = 6.0, 0.3, 8.0


def load(first: dt.datetime) -> promql.MemorySource:
    """A gauge per host, a sample a minute, whose value is another one each time."""
    source = promql.MemorySource()
    times = [int((first + MINUTE * number).timestamp() * 1000) for number in range(-10, TICKS + 10)]
    for host in range(EACH):
        labels = {"__name__": "load", "host": f"host-{host:02}"}
        source.add(labels, times, np.arange(len(times)) + 10.0 + host)
    return source


def make_rules() -> None:
    """A thousand rules over the same hosts."""
    Alert.objects.all().delete()
    Rule.objects.all().delete()
    RuleGroup.objects.all().delete()
    groups = [RuleGroup.objects.create(name=f"group {number}", interval_seconds=60) for number in range(GROUPS)]
    Rule.objects.bulk_create(
        Rule(
            group=groups[number % GROUPS],
            position=number,
            name=f"rule {number}",
            expr="load > $threshold",
            threshold=1 + number / RULES,
            annotations={"summary": "{{ $labels.host }} has a load of {{ $value | humanize }}"},
        )
        for number in range(RULES)
    )


def measure_ticks(first: dt.datetime) -> list[Measurement]:
    """A line for the median tick, one for the memory that the later half of them adds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    source, seconds, wall, grown = load(first), [], [], []
    for number in range(TICKS):
        started, clock = core_seconds(backend), time.perf_counter()
        done = tick(first + MINUTE * number + dt.timedelta(seconds=20), source)
        seconds.append(core_seconds(backend) - started)
        wall.append(time.perf_counter() - clock)
        grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        if done != GROUPS:
            raise SystemExit(f"{done} of {GROUPS} groups were evaluated at tick {number}")
    firing, flips = Alert.objects.filter(state="firing").count(), Flip.objects.count()
    if firing != RULES * EACH or flips != RULES * EACH:
        raise SystemExit(f"{firing} alerts fire after {flips} flips")
    clock = statistics.median(wall[1:])
    note = f"first {seconds[0]:.1f} s, slowest later {max(seconds[1:]):.2f} s, {clock:.1f} s by the clock"
    added, later = max(grown[-1] - grown[TICKS // 2], 0.001), statistics.median(seconds[1:])
    return [
        row("a tick of 1,000 rules with 10,000 firing alerts", later, TICK_SECONDS, "s", "<= 1", note),
        row("memory that six such ticks add", added, GROWN_MIB, "MiB", "<= 1", f"{grown[-1]:.0f} MiB at most"),
    ]


def measure_page() -> Measurement:
    """A line for the page of alerts."""
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))

    def page() -> None:
        answer = client.get("/alerts/")
        if answer.status_code != 200 or b"host-00" not in answer.content:
            raise SystemExit(f"the page of alerts: {answer.status_code}")

    page()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    started, clock = core_seconds(backend), time.perf_counter()
    for _ in range(PAGES):
        page()
    seconds, clock = (
        (now - then) / PAGES for now, then in ((core_seconds(backend), started), (time.perf_counter(), clock))
    )
    return row("the page of 10,000 firing alerts", seconds, PAGE_SECONDS, "s", "<= 1", f"{clock:.2f} s by the clock")


def main() -> None:
    """Measure and print the lines."""
    make_rules()
    first = timezone.now().replace(second=0, microsecond=0) - MINUTE * (TICKS + 2)
    print(json.dumps([*measure_ticks(first), measure_page()]))


if __name__ == "__main__":
    main()
