"""What a page shows beside an alert: its rule's own query around its time, and where the events behind it come from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings

import promql
from alerts import figures
from alerts.evaluate import milliseconds
from alerts.expression import expand, split
from alerts.models import Alert, Rule, RuleChange, State
from alerts.queries import AlertDetail
from alerts.series import portal_source
from promql import syntax
from usage.catalog import BY_SERIES, Family
from usage.contributors import Contributor, Window, contributors
from usage.ranges import TimeRange

HOUR = dt.timedelta(hours=1)
AFTER = dt.timedelta(minutes=20)
LOOKBACK = dt.timedelta(minutes=15)
MOST_CONTRIBUTORS = 9


def chart_span(alert: Alert, now: dt.datetime) -> TimeRange:
    """From an hour before the alert's start until now, or until a little after its end."""
    end = now if alert.ended_at is None else min(now, alert.ended_at + AFTER)
    return TimeRange(milliseconds(alert.active_at - HOUR), milliseconds(end))


def figure(detail: AlertDetail, changes: list[RuleChange], workspaces: Collection[str] | None, now: dt.datetime) -> Any:
    """The chart of an alert over what its reader may see. Raises promql.PromQLError or ExpressionError."""
    alert, span = detail.alert, chart_span(detail.alert, now)
    rule, step = alert.rule, span.step_ms
    start, end = span.start_ms // step * step, span.end_ms // step * step
    source = portal_source(workspaces)
    expr = expand(rule.expr, rule.threshold)
    comparison = split(expr)
    measured = promql.range(comparison.measured if comparison else expr, source, start, end, step)
    own = only_of(measured, alert)
    colour = "--critical" if rule.severity == "critical" else "--warning"
    lines = figures.measured_lines(own, rule.unit, {})
    for trace in lines[:1]:
        trace |= {"line": {"color": colour, "width": 1.8}, "fill": "tozeroy", "fillcolor": f"{colour}/.08"}
    if comparison is not None and comparison.number is None:
        limit = only_of(promql.range(comparison.limit, source, start, end, step), alert)
        lines += figures.limit_lines(limit, rule.unit)
    drawn = figures.alert_figure(lines, (span.start_ms, span.end_ms), _stretches(detail, colour, span), _marks(changes))
    for trace in drawn["data"]:
        trace["showlegend"] = len(drawn["data"]) > 1
    if comparison is not None and comparison.number is not None:
        level = figures.threshold_layout(comparison.number, rule.threshold_unit or rule.unit)
        drawn["layout"]["shapes"] += level["shapes"]
        drawn["layout"]["annotations"] += level["annotations"]
    return drawn


def only_of(result: promql.Result, alert: Alert) -> promql.Result:
    """The series that the alert is about; all of them where the rule changes labels so that none can be told."""
    keep = [
        row
        for row, labels in enumerate(result.labels)
        if all(alert.labels.get(name) == text for name, text in labels.items() if name != "__name__")
    ]
    if not keep:
        return result
    return promql.Result(
        result.type, [result.labels[row] for row in keep], result.times, result.values[keep], result.present[keep]
    )


def _stretches(detail: AlertDetail, colour: str, span: TimeRange) -> list[figures.Stretch]:
    """When it fired."""
    found, since = [], None
    for flip in detail.flips:
        if flip.to_state == State.FIRING:
            since = milliseconds(flip.at)
        elif since is not None:
            found.append(figures.Stretch(since, milliseconds(flip.at), "firing", colour))
            since = None
    if since is not None:
        found.append(figures.Stretch(since, span.end_ms, "firing", colour))
    return found


def _marks(changes: list[RuleChange]) -> list[figures.Mark]:
    return [figures.Mark(milliseconds(change.at), "rule edited") for change in changes]


@dataclass(frozen=True)
class Origins:
    """Where an alert comes from. `counted` says of which metric, `minutes` the length of both stretches."""

    rows: list[Contributor]
    counted: str
    minutes: int


def origins(alert: Alert, workspaces: Collection[str] | None, now: dt.datetime) -> Origins | None:
    """The labels behind the metric of the alert's rule; None where that metric has no records to count (a gauge)."""
    counted = counted_by(alert.rule)
    if counted is None:
        return None
    family, asked = counted
    window = origin_window(alert, now)
    kept = now - dt.timedelta(days=settings.PORTAL.retention_15s_days - 1)
    labels = {name: text for name, text in {**alert.labels, **asked}.items() if name in family.labels}
    rows = contributors(family, labels, window, workspaces, fine=window.before_start > kept)
    minutes = round((window.end - window.start).total_seconds() / 60)
    return Origins(rows[:MOST_CONTRIBUTORS], family.name, minutes)


def origin_window(alert: Alert, now: dt.datetime) -> Window:
    """The alert's time, its last hour at most, and as long before the first of what it was about."""
    end = alert.ended_at or now
    start = max(alert.active_at - LOOKBACK, end - HOUR)
    before = min(start, alert.active_at - LOOKBACK)
    return Window(start, end, before - (end - start), before)


def counted_by(rule: Rule) -> tuple[Family, dict[str, str]] | None:
    """The metric that the rule's condition measures, the first one in it that counts records, and the labels that it asks for."""
    try:
        query = promql.parse(expand(rule.expr, rule.threshold))
    except (promql.PromQLError, ValueError):
        return None
    for node in syntax.walk(query.expr):
        if isinstance(node, syntax.Selector):
            equal = {one.name: one.value for one in node.matchers if one.op == "="}
            family = BY_SERIES.get(equal.pop("__name__", ""))
            if family is not None and family.type != "gauge":
                return family, equal
    return None
