"""Rules and series for tests: a group with one rule over a gauge that follows a script, one sample per slot."""

import datetime as dt
from typing import Any

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.models import Alert, Flip, Rule, RuleGroup
from tests.alerts.groups import evaluate_group

START = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)
DELAY = dt.timedelta(seconds=15)


def minute(number: float) -> dt.datetime:
    """A slot of a group of one minute."""
    return START + dt.timedelta(minutes=number)


def make_rule(expr: str = "load > $threshold", threshold: float | None = 5, interval: int = 60, **fields: Any) -> Rule:
    """A rule in a group of its own that was evaluated until just before START."""
    name = fields.pop("name", f"Rule{Rule.objects.count()}")
    until = START - dt.timedelta(seconds=interval)
    group = RuleGroup.objects.create(name=f"group of {name}", interval_seconds=interval, evaluated_until=until)
    return Rule.objects.create(group=group, name=name, expr=expr, threshold=threshold, **fields)


def gauge(series: dict[str, list[float | None]], step: int = 60) -> promql.MemorySource:
    """`load{host=…}` with a value per slot from START on; None is a gap, marked stale."""
    source = promql.MemorySource()
    for host, values in series.items():
        times = [milliseconds(START) + step * 1000 * number for number in range(len(values))]
        source.add({"__name__": "load", "host": host}, times, [promql.STALE_NAN if v is None else v for v in values])
    return source


def run(rule: Rule, source: promql.Source, first: int, last: int, step: int = 60) -> None:
    """Tick once per slot, from slot `first` to `last`."""
    for number in range(first, last + 1):
        evaluate_group(rule.group_id, START + dt.timedelta(seconds=step * number) + DELAY, source)


def flip_lines(rule: Rule) -> list[str]:
    """All flips of the rule as `minute host from>to value`, in order."""
    return [
        f"{(flip.at - START).total_seconds() / 60:g} {flip.alert.labels.get('host', '')} "
        f"{flip.from_state}>{flip.to_state} {flip.value:g}"
        for flip in Flip.objects.filter(alert__rule=rule)
        .select_related("alert")
        .order_by("at", "alert__labels__host", "id")
    ]


def only_alert(rule: Rule) -> Alert:
    """The rule's single alert."""
    return Alert.objects.get(rule=rule)
