"""What happened to an incident, as lines of a timeline: flips, messages, and what people did."""

from __future__ import annotations

from itertools import groupby

from alerts.evidence.changes import Change
from alerts.incidents.models import IncidentEvent
from alerts.incidents.queries import IncidentDetail
from alerts.models import Delivery, Flip
from alerts.pages.alerts.timeline import Event, delivery_event

DOTS = {"firing": "critical", "pending": "warning", "resolved": "ok", "inactive": ""}


def incident_timeline(found: IncidentDetail, changes: list[Change]) -> list[Event]:
    """All of it, and the changes around it, oldest first; flips of one kind at one slot are one line."""
    events = [Event(change.at, "", change.strong, change.after, link=change.link) for change in changes]
    flips = sorted(found.flips, key=lambda flip: (flip.at, flip.to_state))
    for (_, state), alike in groupby(flips, key=lambda flip: (flip.at, flip.to_state)):
        events.append(_flips_event(state, list(alike)))
    events += [_message_event(delivery, found.own) for delivery in found.deliveries]
    events += [_person_event(event) for event in found.events]
    return sorted(events, key=lambda event: event.at)


def _flips_event(state: str, flips: list[Flip]) -> Event:
    first = flips[0].alert.title
    after = f" {first}" if len(flips) == 1 else f" {len(flips)} alerts"
    return Event(flips[0].at, DOTS[state], state.capitalize(), after)


def _message_event(delivery: Delivery, own: frozenset[int] | None) -> Event:
    event = delivery_event(delivery)
    firing, resolved = (
        len(ids if own is None else own.intersection(ids)) for ids in (delivery.firing, delivery.resolved)
    )
    counts = [f"{firing} firing"] if firing else []
    counts += [f"{resolved} resolved"] if resolved else []
    detail = f"{', '.join(counts)}, since {Delivery.Why(delivery.why).label}"
    return Event(event.at, event.dot, event.strong, event.after, " · ".join(filter(None, [detail, event.detail])))


def _person_event(event: IncidentEvent) -> Event:
    by = f" by {event.author_name}"
    if event.kind == IncidentEvent.Kind.COMMENT:
        return Event(event.at, "accent", event.author_name, "", event.text)
    if event.kind in (IncidentEvent.Kind.ESCALATED, IncidentEvent.Kind.LAPSED):
        strong = "Escalated" if event.kind == IncidentEvent.Kind.ESCALATED else "Acknowledgement over"
        return Event(event.at, "critical", strong, f" {event.text}")
    strong = {
        IncidentEvent.Kind.ACKNOWLEDGED: "Acknowledged",
        IncidentEvent.Kind.UNACKNOWLEDGED: "Given back",
        IncidentEvent.Kind.SNOOZED: "Snoozed",
        IncidentEvent.Kind.OWNED: "Owner set",
        IncidentEvent.Kind.RAISED: "Severity raised",
        IncidentEvent.Kind.RESOLVED: "Resolved by hand",
        IncidentEvent.Kind.TICKED: "Step done",
        IncidentEvent.Kind.UNTICKED: "Step not done",
        IncidentEvent.Kind.MERGED: "Merged",
        IncidentEvent.Kind.SEPARATED: "Separated",
    }[IncidentEvent.Kind(event.kind)]
    return Event(event.at, "accent", strong, f"{by} {event.text}".rstrip())
