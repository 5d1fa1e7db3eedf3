"""Numbers, spans of time and states as pages write them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import template

from alerts.durations import words
from alerts.message import value_words
from alerts.models import Alert, Delivery, RuleChange

register = template.Library()

FIELD_WORDS = {
    "expr": "PromQL",
    "for_seconds": "for",
    "keep_firing_seconds": "keeps firing",
    "paused_until": "paused until",
    "enabled": "switch",
}
DELIVERY_BADGES = {
    Delivery.State.SENT: "ok",
    Delivery.State.FAILED: "critical",
    Delivery.State.PENDING: "warning",
    Delivery.State.SENDING: "warning",
    Delivery.State.SKIPPED: "",
}


@register.filter
def measured(value: float | None, unit: str) -> str:
    """A value with its unit: `6.4 %`."""
    return value_words(value, unit)


@register.filter
def span(seconds: float | None) -> str:
    """Seconds as people say them: `15 min`."""
    return "" if seconds is None else words(seconds)


@register.filter
def delivery_badge(state: str) -> str:
    """The class of a delivery's badge."""
    return DELIVERY_BADGES.get(Delivery.State(state), "")


@register.filter
def severity_badge(severity: str) -> str:
    """The class of a severity's badge."""
    return {"critical": "critical", "warning": "warning"}.get(severity, "accent")


@register.filter
def state_badge(alert: Alert) -> str:
    """The class of an alert's badge."""
    if alert.state == "firing":
        return severity_badge(alert.rule.severity)
    return {"pending": "warning", "resolved": "ok"}.get(alert.state, "")


@register.filter
def of(found: dict[int, list[str]], key: int) -> list[str]:
    """What a mapping has for a key; nothing where it has none."""
    return found.get(key, [])


@register.filter
def count(number: float) -> str:
    """A count with its thousands apart; small sums that are no whole numbers keep two digits."""
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 100 else f"{number:,.2f}"


@register.filter
def percent(share: float) -> str:
    """A share as percent: `92 %`."""
    return f"{share * 100:.0f} %"


@register.filter
def milli(seconds: float | None) -> str:
    """How long something took: `87 ms`, `1.4 s`."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


@register.filter
def moment(ms: int) -> str:
    """Epoch milliseconds as ISO 8601."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()


@register.filter
def changed_words(change: RuleChange) -> list[dict[str, str]]:
    """Each field of an edit: its name, and the old and new value in words."""
    return [
        {"field": FIELD_WORDS.get(name, name), "old": plain_words(name, old), "new": plain_words(name, new)}
        for name, (old, new) in change.fields.items()
    ]


def plain_words(name: str, value: Any) -> str:
    """A field's value in words."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if name.endswith("_seconds"):
        return words(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
