"""Why an incident's messages came, why at their time and not earlier, and when the next one comes: in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from alerts.incidents.models import Incident, Member
from alerts.incidents.policy import AT_ONCE, Policy
from alerts.models import Delivery
from alerts.routing.durations import write_duration
from alerts.routing.tree import EVERYTHING, Route

CHANNELS_SHOWN = 6


def reasons(
    incident: Incident, members: Sequence[Member], newest: Sequence[Delivery], policy: Policy, now: dt.datetime
) -> list[str]:
    """Lines on its group, on what mutes it, on the last message of each channel, and on the next one. `newest` are
    deliveries that the reader may see, the newest first, each with its flip."""
    route = policy.route(incident)
    lines = [_grouping(route)]
    muted = sorted({member.muted_by for member in members if member.muted_by and not member.done})
    lines += muted or ["Nothing silences or inhibits it now."]
    lines += _times(route, policy, now)
    last = {delivery.channel_name: delivery for delivery in reversed(newest)}
    lines += [_message(delivery, route) for delivery in list(reversed(last.values()))[:CHANNELS_SHOWN]]
    times = "time" if incident.notifications == 1 else "times"
    after = ""
    if incident.closed_at is None and incident.news_at is not None:
        after = f", next at {max(incident.news_at, now):%Y-%m-%d %H:%M} UTC unless it ends"
    return [*lines, f"Sent {incident.notifications} {times}{after}."]


def _grouping(route: Route) -> str:
    if route is AT_ONCE:
        return "No routing tree is saved: the rule's own channels are notified of every change at once."
    by = "every label" if EVERYTHING in route.group_by else ", ".join(route.group_by) or "nothing: one group"
    return f"Grouped by {by}; waited {write_duration(route.group_wait)} for more alerts."


def _times(route: Route, policy: Policy, now: dt.datetime) -> list[str]:
    """Whether its route's time intervals let messages through now; nothing where it has none."""
    names = ", ".join((*route.mute, *route.active))
    if policy.configuration is None or not names:
        return []
    quiet = policy.configuration.muted_by_time(route, now)
    return [
        f"Its route is quiet now: {quiet}." if quiet else f"Its route's time intervals ({names}) let it through now."
    ]


def _message(delivery: Delivery, route: Route) -> str:
    """Why a channel's last message came, and why not earlier."""
    said = f"{delivery.channel_name}, {delivery.created_at:%Y-%m-%d %H:%M:%S} UTC: {Delivery.Why(delivery.why).label}."
    return f"{said} {_not_earlier(delivery, route)}".rstrip()


def _not_earlier(delivery: Delivery, route: Route) -> str:
    match Delivery.Why(delivery.why):
        case Delivery.Why.FIRST:
            since = f"It fired at {delivery.flip.at:%H:%M:%S}"
            if route.group_wait:
                return f"{since}; a new group waits {write_duration(route.group_wait)}."
            return f"{since}; a new group is sent at once."
        case Delivery.Why.FIRING | Delivery.Why.RESOLVED if route.group_interval:
            return f"Changes of a group are sent every {write_duration(route.group_interval)}."
        case Delivery.Why.FIRING | Delivery.Why.RESOLVED:
            return "Changes are sent at once."
        case Delivery.Why.REPEAT if route.repeat_interval:
            return f"It is repeated every {write_duration(route.repeat_interval)} while nobody takes it."
        case Delivery.Why.UNMUTED:
            return "What had muted it ended then."
        case Delivery.Why.ESCALATED:
            return "The step before had its time to acknowledge."
        case _:
            return ""
