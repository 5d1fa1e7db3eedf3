"""Alerts that fire and end when a test says so, and what the channels are notified of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

from django.db import transaction
from django.db.models import Min

from alerts.incidents.collect import collect, flush_due
from alerts.incidents.routing.edits import save_routing
from alerts.models import Alert, Channel, Delivery, Flip, Incident, Rule, RuleGroup, State
from alerts.notify.channels import create_channel

START = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    """A time of the test."""
    return START + dt.timedelta(seconds=seconds)


class World:
    """A routing with channels of the receivers' names, one rule, and a clock in seconds that runs from event to
    event."""

    def __init__(self, route: dict[str, Any] | None = None, receivers: str = "a", **more: Any) -> None:
        group = RuleGroup.objects.create(name="world")
        self.rule = Rule.objects.create(group=group, name="World", expr="vector(1)")
        self.channels: dict[str, Channel] = {}
        entries = []
        for name in receivers.split():
            channel = create_channel("webhook", name, {"url": "https://hooks.example.org/"})
            self.channels[name] = channel
            entries.append({"name": name, "portal_configs": [{"channel": channel.pk}]})
        if route is not None:
            save_routing({"route": route, "receivers": entries, **more}, by=None, now=START)
        self.open: dict[str, Alert] = {}
        self.now = 0.0

    def fire(self, when: float, *names: str, since: float | None = None, **labels: str) -> None:
        """Alerts of these names fire, written at `when`."""
        self.run(when)
        slot = at(when if since is None else since)
        alerts = Alert.objects.bulk_create([self._alert(name, labels, slot) for name in names])
        self._flip(alerts, State.INACTIVE, State.FIRING, slot, when)

    def resolve(self, when: float, *names: str) -> None:
        """They end."""
        self.run(when)
        alerts = [self.open.pop(name) for name in names]
        for alert in alerts:
            alert.state, alert.ended_at = State.RESOLVED, at(when)
        ids = [alert.pk for alert in alerts]
        Alert.objects.filter(pk__in=ids).update(state=State.RESOLVED, ended_at=at(when))
        self._flip(alerts, State.FIRING, State.RESOLVED, at(when), when)

    def run(self, until: float) -> None:
        """Let the time pass: incidents are flushed when they are due, and every message arrives."""
        while (due := Incident.objects.aggregate(next=Min("flush_at"))["next"]) is not None and due <= at(until):
            self.now = max(self.now, (due - START).total_seconds())
            flush_due(at(self.now))
            self.arrive()
        self.now = until

    def arrive(self, **fields: Any) -> None:
        """What waits is sent."""
        Delivery.objects.filter(state="pending", **fields).update(state="sent", finished_at=at(self.now))

    def messages(self, until: float | None = None) -> list[str]:
        """Every message as `seconds channel +firing -resolved (why)`, in order."""
        if until is not None:
            self.run(until)
        names = {alert.pk: alert.labels["name"] for alert in Alert.objects.all()}
        lines = []
        for delivery in Delivery.objects.select_related("channel").order_by("created_at", "channel__name", "id"):
            firing = "".join(f" +{name}" for name in sorted(names[pk] for pk in delivery.firing))
            resolved = "".join(f" -{name}" for name in sorted(names[pk] for pk in delivery.resolved))
            seconds = (delivery.created_at - START).total_seconds()
            lines.append(f"{seconds:g} {delivery.channel.name}{firing}{resolved} ({delivery.why})")
        return lines

    def _alert(self, name: str, labels: dict[str, str], slot: dt.datetime) -> Alert:
        found = {"alertname": "World", "name": name, **labels}
        fingerprint = hashlib.md5(json.dumps(found, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
        alert = Alert(
            rule=self.rule,
            severity=self.rule.severity,
            threshold=self.rule.threshold,
            for_seconds=self.rule.for_seconds,
            fingerprint=fingerprint,
            labels=found,
            state=State.FIRING,
            value=1,
            active_at=slot,
            fired_at=slot,
        )
        self.open[name] = alert
        return alert

    def _flip(self, alerts: list[Alert], before: State, after: State, slot: dt.datetime, when: float) -> None:
        created = at(when)
        with transaction.atomic():
            flips = [
                Flip(alert=alert, from_state=before, to_state=after, at=slot, value=1, created_at=created)
                for alert in alerts
            ]
            Flip.objects.bulk_create(flips)
            collect(flips, created)
        self.arrive()
