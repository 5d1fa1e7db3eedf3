"""An edit of a rule as its history shows it."""

from __future__ import annotations

from typing import Any

from django import template

from alerts.models import RuleChange
from core.ui.durations import format_long

register = template.Library()

FIELD_LABELS = {
    "expr": "PromQL",
    "for_seconds": "for",
    "keep_firing_seconds": "keeps firing",
    "recovery_threshold": "recovers at",
    "min_events": "least events",
    "no_data": "without data",
    "on_error": "when the query fails",
    "flap_limit": "damped beyond firings an hour",
    "thresholds": "thresholds by label set",
    "shadow": "only a shadow",
    "paused_until": "paused until",
    "enabled": "switch",
}


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
    if name == "thresholds":
        return "; ".join(f"{row['match']}: {row['threshold']:g}" for row in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
