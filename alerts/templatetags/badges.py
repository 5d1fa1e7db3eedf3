"""The classes of badges that alerts and deliveries wear."""

from __future__ import annotations

from django import template

from alerts.models import Alert, Delivery

register = template.Library()

DELIVERY_BADGES = {
    Delivery.State.SENT: "ok",
    Delivery.State.FAILED: "critical",
    Delivery.State.PENDING: "warning",
    Delivery.State.SENDING: "warning",
    Delivery.State.SKIPPED: "",
}


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
        return severity_badge(alert.severity)
    return {"pending": "warning", "resolved": "ok"}.get(alert.state, "")
