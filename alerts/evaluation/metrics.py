"""What /metrics says of the rules' evaluation, in Prometheus's own terms for it: from the rows of groups and
rules, so that every replica says the same."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from django.db.models.functions import Coalesce
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from alerts.models import Rule, RuleGroup

LAST_EVALUATION = "portal_rule_group_last_evaluation_timestamp_seconds"
INTERVAL = "portal_rule_group_interval_seconds"
LAST_DURATION = "portal_rule_group_last_duration_seconds"
GAUGES = {
    LAST_EVALUATION: "The last slot of the rule group that was evaluated, in Unix seconds.",
    INTERVAL: "The distance of the rule group's slots.",
    LAST_DURATION: "How long the last evaluation of the rule group took.",
}
MISSED = (
    "portal_rule_group_iterations_missed",
    "Slots of the rule group that were missed and too old to be made up for.",
)
SAMPLES = (
    "portal_rule_last_samples",
    "Series in the last result of the rule: alerts with a sample, or series recorded.",
)
EVALUATIONS = ("portal_rule_evaluations", "Slots at which the rule was evaluated.")
FAILURES = ("portal_rule_evaluation_failures", "Slots at which evaluating the rule failed.")

# Each with what it means; counters as Prometheus shows them.
ALL = (*GAUGES.items(), SAMPLES, *((f"{name}_total", text) for name, text in (MISSED, EVALUATIONS, FAILURES)))


class RuleRows(msgspec.Struct):
    """What the metrics are made of. In use: name, last evaluated slot (Unix seconds) and interval of groups with a rule
    that is on; `groups`: name, seconds of the last evaluation and slots missed; `rules`: group, name, slots evaluated
    and failed, series in the last result."""

    in_use: list[tuple[str, float, float]] = []
    groups: list[tuple[str, float | None, int]] = []
    rules: list[tuple[str, str, int, int, int | None]] = []


def read_rows() -> RuleRows:
    """The rows of all groups and rules."""
    rules = Rule.objects.order_by("group__name", "position", "id")
    return RuleRows(
        groups_in_use(),
        list(RuleGroup.objects.order_by("name").values_list("name", "last_duration_seconds", "slots_skipped")),
        list(rules.values_list("group__name", "name", "evaluations", "evaluation_failures", "last_series")),
    )


def groups_in_use() -> list[tuple[str, float, float]]:
    """Name, last evaluated slot (Unix seconds; when it was made, before the first) and interval
    of each group with a rule that is on."""
    groups = RuleGroup.objects.filter(rules__enabled=True).distinct()
    rows = groups.annotate(since=Coalesce("evaluated_until", "created_at")).order_by("name")
    return [
        (name, since.timestamp(), float(interval))
        for name, since, interval in rows.values_list("name", "since", "interval_seconds")
    ]


class RuleCollector(Collector):
    """The metrics of rows."""

    def __init__(self, rows: RuleRows) -> None:
        self.rows = rows

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        gauges = {name: GaugeMetricFamily(name, text, labels=["rule_group"]) for name, text in GAUGES.items()}
        for name, last, interval in self.rows.in_use:
            gauges[LAST_EVALUATION].add_metric([name], last)
            gauges[INTERVAL].add_metric([name], interval)
        missed = CounterMetricFamily(*MISSED, labels=["rule_group"])
        evaluations = CounterMetricFamily(*EVALUATIONS, labels=["rule_group", "rule"])
        failures = CounterMetricFamily(*FAILURES, labels=["rule_group", "rule"])
        for name, seconds, slots in self.rows.groups:
            if seconds is not None:
                gauges[LAST_DURATION].add_metric([name], seconds)
            missed.add_metric([name], slots)
        samples = GaugeMetricFamily(*SAMPLES, labels=["rule_group", "rule"])
        for group, rule, count, failed, series in self.rows.rules:
            if series is not None:
                samples.add_metric([group, rule], series)
            evaluations.add_metric([group, rule], count)
            failures.add_metric([group, rule], failed)
        yield from (*gauges.values(), samples, missed, evaluations, failures)
