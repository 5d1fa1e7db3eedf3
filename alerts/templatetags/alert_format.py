"""What pages of alerts say of states, values and changes (formats of numbers and times: core.ui)."""

from __future__ import annotations

from typing import Any

from django import template

from alerts.models import Alert, Delivery, RuleChange
from alerts.notify.message import value_text
from core.ui.durations import format_long

register = template.Library()

FIELD_LABELS = {
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
    return value_text(value, unit)


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
def changed_fields(change: RuleChange) -> list[dict[str, str]]:
    """Each field of an edit: its name, and the old and new value as text."""
    return [
        {"field": FIELD_LABELS.get(name, name), "old": field_text(name, old), "new": field_text(name, new)}
        for name, (old, new) in change.fields.items()
    ]


def field_text(name: str, value: Any) -> str:
    """A field's value as text."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if name.endswith("_seconds"):
        return format_long(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
