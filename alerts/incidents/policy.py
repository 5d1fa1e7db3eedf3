"""The routing in force: where an alert goes and how its group is sent. Without a saved tree, that
is each rule's own choice of channels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from django.db.models import prefetch_related_objects

from alerts.incidents.models import Incident, RoutingVersion, digest_of, group_key
from alerts.models import Alert, Channel, Rule
from alerts.oncall.followers import Follower, followers
from alerts.oncall.models import EscalationPolicy
from alerts.oncall.queries import Duty, duties
from alerts.queries import recipients
from alerts.routing.configuration import Configuration, read_configuration
from alerts.routing.tree import Route, route_of
from core.process_cache import ProcessCache

CHANNELS = "portal_configs"
# Without a tree every change is notified at once, and nothing is repeated.
AT_ONCE = Route(
    "", group_by=("alertname",), group_wait=dt.timedelta(), group_interval=dt.timedelta(), repeat_interval=None
)


# What an incident's labels say without a tree, where a threshold of the rule's table has its own severity or channels.
SEVERITY, NOTIFIED, SEPARATOR = "severity", "channels", ", "


def _own_of(alert: Alert) -> dict[str, str]:
    """What the alert's incident is of besides its rule."""
    severity = {SEVERITY: str(alert.severity)} if alert.severity != alert.rule.severity else {}
    return severity | ({NOTIFIED: SEPARATOR.join(alert.channel_names)} if alert.channel_names else {})


@dataclass(frozen=True)
class Place:
    """An incident that an alert belongs to, whether it is open or not."""

    digest: str
    key: str
    receiver: str
    group_labels: dict[str, str]
    route: Route

    def open(self, now: dt.datetime) -> Incident:
        """A new incident of it, not yet saved."""
        return Incident(
            digest=self.digest,
            key=self.key,
            receiver=self.receiver,
            group_labels=self.group_labels,
            opened_at=now,
        )


@dataclass
class Policy:
    """The configuration at a moment (None: no tree is saved) and the channels that there are."""

    configuration: Configuration | None
    channels: dict[int, Channel]
    _by_rule: dict[tuple[int, str, tuple[str, ...]], list[Channel]] = field(default_factory=dict)
    _duties: list[Duty] | None = None

    def places(self, alert: Alert) -> list[Place]:
        """Where the alert goes; one place per matching node of the tree."""
        if self.configuration is None:
            labels = {"alertname": alert.labels.get("alertname", "")}
            # Two rules may give one alertname by their labels; each has its own channels.
            if workspace := alert.labels.get("workspace"):
                # What one team does with its alerts concerns no other.
                labels["workspace"] = workspace
            labels |= _own_of(alert)
            others = "".join(f", {name}={text!r}" for name, text in labels.items() if name != "alertname")
            key = f"{{}}/{{rule={alert.rule_id}}}:{{alertname={labels['alertname']!r}{others}}}"
            return [Place(digest_of(key, ""), key, "", labels, AT_ONCE)]
        found = {}
        for route in route_of(self.configuration.root, alert.labels):
            labels = route.group_labels(alert.labels)
            key = group_key(route.key, labels)
            digest = digest_of(key, route.receiver)
            found[digest] = Place(digest, key, route.receiver, labels, route)
        return list(found.values())

    def route(self, incident: Incident) -> Route:
        """The node that an open incident came from; where the tree was changed
        meanwhile, the nearest that fits its receiver."""
        if self.configuration is None or not incident.receiver:
            return AT_ONCE
        key = incident.key.rsplit(":{", 1)[0]
        same = [route for route in self.configuration.root.walk() if route.receiver == incident.receiver]
        return next((route for route in same if route.key == key), same[0] if same else self.configuration.root)

    def receivers(self, incident: Incident, rule: Rule) -> list[Channel]:
        """The channels that the incident's messages go to now; `rule` is of any of its alerts."""
        if not incident.receiver:
            severity = incident.group_labels.get(SEVERITY, "")
            names = tuple(filter(None, incident.group_labels.get(NOTIFIED, "").split(SEPARATOR)))
            wanted_by = (rule.pk, severity, names)
            if wanted_by not in self._by_rule:
                prefetch_related_objects([rule], "channels")
                shared = [channel for channel in self.channels.values() if channel.person_id is None]
                self._by_rule[wanted_by] = recipients(rule, shared, severity, names)
            return self._by_rule[wanted_by]
        if self.configuration is None:
            return []
        settings = self.configuration.receivers.get(incident.receiver, {})
        wanted = [self.channels.get(int(entry.get("channel") or 0)) for entry in settings.get(CHANNELS, [])]
        return [channel for channel in wanted if channel is not None and channel.enabled]

    def escalations(self, incident: Incident, rule: Rule) -> list[int]:
        """The ids of the escalation policies that the incident goes through; `rule` is of any of its alerts."""
        if not incident.receiver:
            return [pk for pk, owner in self._without_tree if owner is None or owner == rule.workspace_id]
        if self.configuration is None:
            return []
        settings = self.configuration.receivers.get(incident.receiver, {})
        return [int(entry["escalation"]) for entry in settings.get(CHANNELS, []) if entry.get("escalation")]

    def followers(self, incident: Incident, alerts: Iterable[Alert], now: dt.datetime) -> list[Channel]:
        """The channels of people who follow an incident of these alerts, all of which they may see."""
        if not self._followers:
            return []
        concerned = {alert.labels.get("workspace") for alert in alerts}
        seeing = [one for one in self._followers if one.sees is None or concerned <= one.sees]
        mine = self._on_duty(concerned, now) | {incident.owner_id}
        everything = Channel.Follows.WORKSPACES
        return [one.channel for one in seeing if one.channel.follows == everything or one.channel.person_id in mine]

    @cached_property
    def _followers(self) -> list[Follower]:
        """Who follows alerts."""
        return followers([channel for channel in self.channels.values() if channel.follows])

    def _on_duty(self, concerned: Collection[str | None], now: dt.datetime) -> set[int | None]:
        """The ids of who is on call for one of these workspaces, or for the whole portal. A policy is of a moment."""
        if self._duties is None:
            self._duties = duties(None, now)
        of_them = [duty for duty in self._duties if (one := duty.schedule.workspace) is None or one.slug in concerned]
        return {person.pk for duty in of_them for person in duty.people}

    @cached_property
    def _without_tree(self) -> list[tuple[int, int | None]]:
        """Policies that are taken without a tree, with their owners."""
        return list(EscalationPolicy.objects.filter(without_tree=True).values_list("pk", "workspace_id"))

    def muted_by_time(self, route: Route, now: dt.datetime) -> str | None:
        """Why the route is quiet now."""
        return self.configuration.muted_by_time(route, now) if self.configuration else None


# The version read last, by its id: one is never changed.
_read: ProcessCache[int, Configuration | None] = ProcessCache(1)


def current_configuration() -> tuple[int, Configuration | None]:
    """The newest saved configuration with its number; None before the first, and where the tree was removed."""
    newest = RoutingVersion.objects.order_by("-number").values_list("pk", "number").first()
    if newest is None:
        return 0, None
    pk, number = newest
    if remembered := _read.known([pk]):
        return number, remembered[pk]
    raw = RoutingVersion.objects.values_list("configuration", flat=True).get(pk=pk)
    found = read_configuration(raw) if raw["receivers"] else None
    _read.keep({pk: found})
    return number, found


def current_policy() -> Policy:
    """The routing in force, with the channels that are switched on."""
    channels = {channel.pk: channel for channel in Channel.every.filter(enabled=True).select_related("person")}
    return Policy(current_configuration()[1], channels)
