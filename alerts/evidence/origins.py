"""Where the events behind an alert come from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings

from alerts.models import Alert, Rule
from alerts.rules.expression import expand
from usage.boards.behind import counted
from usage.boards.contributors import Contributor, Window, contributors
from usage.catalog import Family

HOUR = dt.timedelta(hours=1)
LOOKBACK = dt.timedelta(minutes=15)
MAX_CONTRIBUTORS = 9


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
    return Origins(rows[:MAX_CONTRIBUTORS], family.name, minutes)


def origin_window(alert: Alert, now: dt.datetime) -> Window:
    """The alert's time, its last hour at most, and as long before the first of what it was about."""
    end = alert.ended_at or now
    start = max(alert.active_at - LOOKBACK, end - HOUR)
    before = min(start, alert.active_at - LOOKBACK)
    return Window(start, end, before - (end - start), before)


def counted_by(rule: Rule) -> tuple[Family, dict[str, str]] | None:
    """The metric that the rule's condition measures, the first one in it that counts
    records, and the labels that it asks for."""
    try:
        expr = expand(rule.expr, rule.threshold)
    except ValueError:
        return None
    return counted(expr)
