"""What happened to an alert, as lines of a timeline: its flips, who was notified and when, who took it, what was
changed around it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from alerts.evidence.changes import Change
from alerts.models import Delivery, Flip, Rule, State
from alerts.queries import AlertDetail
from core.ui import numbers


@dataclass(frozen=True)
class Event:
    """One line of "What happened": when, the dot's class, and the words; `strong` comes first and `after` follows
    it."""

    at: dt.datetime
    dot: str
    strong: str
    after: str = ""
    detail: str = ""
    link: str = ""


def timeline(detail: AlertDetail, changes: list[Change]) -> list[Event]:
    """All that happened, oldest first."""
    events = [_flip_event(flip, detail.alert.rule) for flip in detail.flips]
    events += [delivery_event(delivery) for delivery in detail.deliveries]
    events += [Event(change.at, "", change.strong, change.after, link=change.link) for change in changes]
    alert = detail.alert
    if alert.acknowledged_at is not None:
        who = alert.acknowledged_by.get_username() if alert.acknowledged_by else "somebody"
        events.append(Event(alert.acknowledged_at, "ok", "Acknowledged", f" by {who}"))
    return sorted(events, key=lambda event: event.at)


def _flip_event(flip: Flip, rule: Rule) -> Event:
    value = numbers.measured(flip.value, rule.unit)
    threshold = numbers.measured(flip.threshold, rule.threshold_unit or rule.unit)
    after = {
        State.PENDING: f", {value} against {threshold}" if threshold else f", {value}",
        State.FIRING: f", {value}",
        State.RESOLVED: f", last seen at {value}",
        State.INACTIVE: ", before it had fired" if flip.from_state == State.PENDING else ", the rule was switched off",
    }
    labels = {State.PENDING: "Pending", State.FIRING: "Firing", State.RESOLVED: "Resolved", State.INACTIVE: "Over"}
    firing = "critical" if flip.alert.severity == "critical" else "warning"
    dots = {State.PENDING: "warning", State.FIRING: firing, State.RESOLVED: "ok", State.INACTIVE: ""}
    state = State(flip.to_state)
    return Event(flip.at, dots[state], labels[state], after[state])


def delivery_event(delivery: Delivery) -> Event:
    """What became of a message."""
    tries = list(delivery.tries.all())
    what = "" if delivery.flip.to_state == State.FIRING else f" ({delivery.flip.to_state})"
    last = tries[-1] if tries else None
    at = delivery.finished_at or (last.at if last else delivery.created_at)
    if delivery.state == Delivery.State.SENT and last is not None:
        count = f" at try {len(tries)}" if len(tries) > 1 else ""
        took = (last.at - delivery.created_at).total_seconds() + last.duration_seconds
        return Event(at, "ok", delivery.channel_name, f"{what}, delivered{count} in {_short(took)}")
    if delivery.state == Delivery.State.FAILED:
        return Event(
            at,
            "critical",
            delivery.channel_name,
            f"{what}, not delivered after {len(tries)} tries",
            last.error if last else "",
        )
    if delivery.state == Delivery.State.SKIPPED:
        return Event(at, "", delivery.channel_name, f"{what}, not needed any more")
    if last is not None:
        return Event(at, "warning", delivery.channel_name, f"{what}, try {len(tries)} failed; trying again", last.error)
    return Event(at, "", delivery.channel_name, f"{what}, waiting to be sent")


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
