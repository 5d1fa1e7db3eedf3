"""The evidence of an alert in a few lines, for its messages."""

from __future__ import annotations

import datetime as dt

from alerts.evidence.changes import changes_around
from alerts.evidence.earlier import WITHIN, earlier_alerts
from alerts.evidence.origins import origins
from alerts.models import Alert
from core.ui import durations

TELLING_SHARE = 0.5
SHOWN = 2


def brief(alert: Alert, now: dt.datetime) -> tuple[tuple[str, str], ...]:
    """Name and text: who is behind most of it, what was changed shortly before, and how often it fired before. Of the
    workspace whose rule it is, as the message goes to that workspace's channels."""
    if alert.rule.external:
        return ()
    slugs = None if alert.rule.workspace is None else {alert.rule.workspace.slug}
    found = [
        ("Mostly", _behind(alert, slugs, now)),
        ("Changed before", _changed(alert, slugs, now)),
        ("Fired before", _before(alert, slugs)),
    ]
    return tuple((name, text) for name, text in found if text)


def _behind(alert: Alert, slugs: set[str] | None, now: dt.datetime) -> str:
    found = origins(alert, slugs, now)
    rows = [one for one in (found.rows if found else []) if one.share >= TELLING_SHARE and one.value != "not given"]
    return ", ".join(f"{one.label} {one.value} ({one.share:.0%})" for one in rows[:SHOWN])


def _changed(alert: Alert, slugs: set[str] | None, now: dt.datetime) -> str:
    before = [one for one in changes_around(alert, slugs, now) if one.at <= alert.active_at]
    return "; ".join(
        f"{one.short}, {durations.format_long((alert.active_at - one.at).total_seconds())} before"
        for one in reversed(before[-SHOWN:])
    )


def _before(alert: Alert, slugs: set[str] | None) -> str:
    same = earlier_alerts(alert, slugs, only_same=True)
    if not same:
        return ""
    last = same[0]
    times = "once" if len(same) == 1 else f"{len(same)} times or more" if len(same) >= 5 else f"{len(same)} times"
    ended = last.alert.ended_at
    lasted = f" for {durations.format_long((ended - last.alert.active_at).total_seconds())}" if ended else ""
    end = f": {last.end.strip()[:120]}" if last.end.strip() else ""
    return f"{times} in {WITHIN.days} days, last on {last.alert.active_at:%Y-%m-%d}{lasted}{end}"
