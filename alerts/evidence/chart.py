"""The chart of an alert: its rule's own query around its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import portal_source
from alerts.evidence import alert_figures
from alerts.evidence.changes import Change
from alerts.evidence.origins import HOUR, counted_by
from alerts.models import Alert, State
from alerts.queries import AlertDetail
from alerts.rules.expression import expand, split
from core.ui.time_range import TimeRange
from usage.boards.behind import behind

AFTER = dt.timedelta(minutes=20)


def chart_span(alert: Alert, now: dt.datetime) -> TimeRange:
    """From an hour before the alert's start until now, or until a little after its end."""
    end = now if alert.ended_at is None else min(now, alert.ended_at + AFTER)
    return TimeRange(milliseconds(alert.active_at - HOUR), milliseconds(end))


def figure(detail: AlertDetail, changes: list[Change], workspaces: Collection[str] | None, now: dt.datetime) -> Any:
    """The chart of an alert over what its reader may see. Raises promql.PromQLError or ExpressionError."""
    alert, span = detail.alert, chart_span(detail.alert, now)
    rule, step = alert.rule, span.step_ms
    start, end = span.start_ms // step * step, span.end_ms // step * step
    source = portal_source(workspaces)
    judged_at = rule.threshold if rule.threshold is None or alert.threshold is None else alert.threshold
    expr = expand(rule.expr, judged_at)
    comparison = split(expr)
    measured = promql.range(comparison.measured if comparison else expr, source, start, end, step)
    own = only_of(measured, alert)
    colour = "--critical" if alert.severity == "critical" else "--warning"
    counted = counted_by(rule)
    # A click on a point leads to the traces of its time that have the alert's labels (charts.js).
    lead = behind({**alert.labels, **(counted[1] if counted else {})}, step)
    lines = [{**one, **lead} for one in alert_figures.measured_lines(own, rule.unit, {})]
    for trace in lines[:1]:
        trace |= {"line": {"color": colour, "width": 1.8}, "fill": "tozeroy", "fillcolor": f"{colour}/.08"}
    if comparison is not None and comparison.number is None:
        limit = only_of(promql.range(comparison.limit, source, start, end, step), alert)
        lines += alert_figures.limit_lines(limit, rule.unit)
    drawn = alert_figures.alert_figure(
        lines, (span.start_ms, span.end_ms), _stretches(detail, colour, span), _notes(changes)
    )
    for trace in drawn["data"]:
        trace["showlegend"] = len(drawn["data"]) > 1
    if comparison is not None and comparison.number is not None:
        level = alert_figures.threshold_layout(comparison.number, rule.threshold_unit or rule.unit)
        drawn["layout"]["shapes"] += level["shapes"]
        drawn["layout"]["annotations"] += level["annotations"]
    return drawn


def only_of(result: promql.Result, alert: Alert) -> promql.Result:
    """The series that the alert is about; all of them where the rule changes labels so that it cannot be identified."""
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


def _stretches(detail: AlertDetail, colour: str, span: TimeRange) -> list[alert_figures.Stretch]:
    """When it fired."""
    found, since = [], None
    for flip in detail.flips:
        if flip.to_state == State.FIRING:
            since = milliseconds(flip.at)
        elif since is not None:
            found.append(alert_figures.Stretch(since, milliseconds(flip.at), "firing", colour))
            since = None
    if since is not None:
        found.append(alert_figures.Stretch(since, span.end_ms, "firing", colour))
    return found


def _notes(changes: list[Change]) -> list[alert_figures.ChartNote]:
    return [alert_figures.ChartNote(milliseconds(change.at), change.short) for change in changes]
