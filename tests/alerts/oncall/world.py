"""People on call, and a policy that escalates to them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Min

from alerts.incidents.routing.edits import save_routing
from alerts.models import Channel, Delivery, Escalation, EscalationPolicy, Incident, IncidentEvent, Schedule
from alerts.oncall.escalate import escalate_due
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import add_rotation, save_schedule
from tests.alerts.incidents.world import START, World, at

ROUTE: dict[str, Any] = {"receiver": "a", "group_by": ["alertname"], "group_wait": "30s", "repeat_interval": "4h"}


def step(delay: int, *targets: str, severities: list[str] | None = None) -> dict[str, Any]:
    return {"delay_seconds": delay, "targets": list(targets), "severities": severities or []}


class Night:
    """Mara is on call, Jon leads; a tree whose only receiver goes through the policy."""

    def __init__(self, *steps: dict[str, Any], channels: str = "", **fields: Any) -> None:
        self.mara = User.objects.create_user("mara", "mara@example.org", first_name="Mara", last_name="Lind")
        self.jon = User.objects.create_user("jon", "jon@example.org")
        self.schedule = save_schedule(Schedule(), name="support", time_zone="Europe/Berlin", calendar="")
        add_rotation(self.schedule, [self.mara], first_day=dt.date(2026, 3, 1), handover=dt.time(9))
        self.world = World(None, f"pager {channels}".strip())
        found = steps or (
            step(0, self.on_call),
            step(300, self.person(self.jon), self.channel("pager")),
        )
        self.policy = save_policy(EscalationPolicy(), {"name": "support", "steps": list(found), **fields})
        entries = [
            {"escalation": self.policy.pk},
            *({"channel": self.world.channels[name].pk} for name in channels.split()),
        ]
        save_routing({"route": ROUTE, "receivers": [{"name": "a", "portal_configs": entries}]}, by=None, now=START)

    @property
    def on_call(self) -> str:
        return f"schedule:{self.schedule.pk}"

    def person(self, user: User) -> str:
        return f"person:{user.pk}"

    def channel(self, name: str) -> str:
        return f"channel:{self.world.channels[name].pk}"

    def run(self, until: float) -> None:
        """Let the time pass from one thing that is due to the next; every message arrives."""
        while (due := self.due()) is not None and due <= until:
            self.world.run(max(due, self.world.now))
            escalate_due(at(self.world.now))
            self.world.arrive(next_attempt_at__lte=at(self.world.now))
        self.world.run(until)

    def due(self) -> float | None:
        """When something is to be done next."""
        times = [
            Incident.objects.filter(closed_at=None).aggregate(at=Min(name))["at"]
            for name in ("flush_at", "acknowledged_until")
        ]
        times.append(Escalation.objects.aggregate(at=Min("next_at"))["at"])
        return min(((one - START).total_seconds() for one in times if one is not None), default=None)

    def notified(self) -> list[str]:
        """Every message as `seconds channel (why)`."""
        return [
            f"{(one.created_at - START).total_seconds():g} {one.channel.name} ({one.why})"
            for one in Delivery.objects.select_related("channel").order_by("created_at", "channel__name", "id")
        ]

    def events(self) -> list[str]:
        return list(IncidentEvent.objects.values_list("text", flat=True))

    def means(self, user: User) -> list[Channel]:
        return list(Channel.every.filter(person=user))
