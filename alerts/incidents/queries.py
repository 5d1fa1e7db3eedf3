"""What pages read about incidents and routing. Row counts never change the number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from alerts.incidents.mixed import colleagues, hide_others, marked, of_seen_channels, seen_events
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.incidents.policy import CHANNELS, Policy, current_policy
from alerts.incidents.reasons import reasons
from alerts.incidents.routing.branches import seen
from alerts.models import Alert, Channel, Delivery, DeliveryAttempt, EscalationPolicy, Flip
from alerts.queries import seen_by, tells_of
from alerts.routing.matchers import Matcher, Matchers, quote
from alerts.routing.tree import Route, Step, explain, summary
from alerts.rules.models import gravity
from core.accounts.ownership import owned

SHOWN = 50


@dataclass(frozen=True)
class IncidentRow:
    """An incident in a list: its worst visible alert first, and how many of its alerts fire."""

    incident: Incident
    lead: Alert
    firing: int
    alerts: int

    @property
    def title(self) -> str:
        """Its first alert, and how many more there are."""
        return self.lead.title if self.alerts == 1 else f"{self.lead.title} and {self.alerts - 1:,} more"


@dataclass(frozen=True)
class IncidentDetail:
    """An incident with what a reader may see of it; `members` are at most SHOWN, firing ones first."""

    row: IncidentRow
    members: list[Member]
    deliveries: list[Delivery]
    events: list[IncidentEvent]
    flips: list[Flip]
    steps: list[Step]
    why: list[str]
    merged: list[Incident]

    @property
    def own(self) -> frozenset[int] | None:
        """Of a mixed incident the ids of the alerts that its reader sees, SHOWN at most; None: all."""
        return frozenset(member.alert_id for member in self.members) if self.row.incident.is_mixed else None

    @property
    def matchers(self) -> Matchers:
        """What a silence of the whole incident needs: its group labels, else the labels of its first alert."""
        labels = self.row.incident.group_labels or self.row.lead.labels
        return tuple(Matcher(name, "=", value) for name, value in labels.items())

    @property
    def labels(self) -> Matchers:
        """The labels of its first alert, as matchers."""
        return tuple(Matcher(name, "=", value) for name, value in self.row.lead.labels.items())


@dataclass(frozen=True)
class RouteRow:
    """A node of the tree as the page shows it. `matched` and `ends` are of the labels that were asked about."""

    route: Route
    summary: str
    channels: list[str]
    matched: bool
    ends: bool
    reason: str

    @property
    def level(self) -> int:
        return min(len(self.route.path), 6)


def incident_page(
    workspaces: Collection[str] | None, number: str | None, *, is_open: bool, size: int = SHOWN
) -> tuple[list[IncidentRow], Page[Incident]]:
    """A page of the incidents with an alert that a reader of these workspaces may see, the newest first, by its number
    from the URL; and what leads to the others."""
    found = visible_incidents(workspaces).filter(closed_at__isnull=is_open).order_by("-opened_at", "-id")
    page = Paginator(found, size).get_page(number)
    return _rows(list(page.object_list), workspaces), page


def recent_incidents(workspaces: Collection[str] | None, since: dt.datetime, most: int) -> list[IncidentRow]:
    """The incidents that opened since then with an alert that a reader of these workspaces may see, the newest first,
    at most so many."""
    found = visible_incidents(workspaces).filter(opened_at__gte=since).order_by("-opened_at", "-id")
    return _rows(found[:most], workspaces)


def incident_detail(incident_id: int, workspaces: Collection[str] | None, now: dt.datetime) -> IncidentDetail:
    """Raises Incident.DoesNotExist, also for one of which the reader may see no alert."""
    incident = (
        visible_incidents(workspaces)
        .select_related("acknowledged_by", "owner", "resolved_by", "merged_into")
        .get(pk=incident_id)
    )
    merged = list(incident.merged.order_by("pk"))
    (row,) = _rows([incident], workspaces)
    visible = Alert.objects.filter(seen_by(workspaces))
    members = list(
        Member.objects.filter(incident=incident, alert__in=visible)
        .select_related("alert__rule__runbook")
        .order_by("alert__ended_at", "-alert__fired_at", "id")[:SHOWN]
    )
    members.sort(key=lambda member: member.alert.ended_at is not None)
    people = colleagues(workspaces)
    deliveries = list(
        _deliveries(incident, workspaces, people)
        .select_related("flip", "channel")
        .prefetch_related(Prefetch("tries", DeliveryAttempt.objects.order_by("number")))
        .order_by("-id")[:SHOWN]
    )
    hide_others(incident, people)
    done = IncidentEvent.objects.filter(of_it(incident)).order_by("-at", "-id")
    events = seen_events(incident, done[: 4 * SHOWN], people)
    flips = Flip.objects.filter(alert__in=[member.alert_id for member in members]).select_related("alert__rule")
    policy = current_policy()
    lead = row.lead
    steps = explain(seen(policy.configuration, workspaces).root, lead.labels) if policy.configuration else []
    return IncidentDetail(
        row,
        members,
        list(reversed(deliveries)),
        list(reversed(events)),
        list(flips.order_by("-at", "-id")[: 2 * SHOWN]),
        steps,
        reasons(incident, members, deliveries, policy, now),
        merged,
    )


def of_it(incident: Incident) -> Q:
    """Events and deliveries of the incident, and of what was merged into it."""
    return Q(incident=incident) | Q(incident__merged_into=incident)


def _deliveries(incident: Incident, workspaces: Collection[str] | None, people: Collection[int]) -> QuerySet[Delivery]:
    """What was sent of the incident, as far as a reader of these workspaces, whose colleagues these are, may see it."""
    found = Delivery.objects.filter(of_it(incident))
    if not incident.is_mixed:
        return found
    visible = Member.objects.filter(incident=incident, alert__in=Alert.objects.filter(seen_by(workspaces)))
    ids = list(visible.values_list("alert_id", flat=True))
    return found.filter(tells_of(ids), of_seen_channels(workspaces, people))


def others_open(incident: Incident, workspaces: Collection[str] | None) -> list[IncidentRow]:
    """The newest other open incidents, which it could be merged with: those whose alerts the reader sees all."""
    found = visible_incidents(workspaces).filter(closed_at=None).exclude(pk=incident.pk)
    rows = _rows(found.order_by("-opened_at", "-id")[:SHOWN], workspaces)
    return [row for row in rows if not row.incident.is_mixed]


def incident_row(incident: Incident, workspaces: Collection[str] | None = None) -> IncidentRow:
    """The incident as a reader of these workspaces sees it; whole (None) for those who got its message."""
    return _rows([incident], workspaces)[0]


def route_rows(policy: Policy, labels: dict[str, str] | None, workspaces: Collection[str] | None) -> list[RouteRow]:
    """The tree that readers of these workspaces see, from top to bottom; with labels also the way that an alert of
    these would go, with the reason of every step."""
    if policy.configuration is None:
        return []
    configuration = seen(policy.configuration, workspaces)
    steps = {step.route.path: step for step in explain(configuration.root, labels)} if labels else {}
    names = dict(Channel.objects.filter(owned(workspaces)).values_list("pk", "name"))
    policies = dict(EscalationPolicy.objects.filter(owned(workspaces)).values_list("pk", "name"))
    rows = []
    for route in configuration.root.walk():
        step = steps.get(route.path)
        entries = configuration.receivers.get(route.receiver, {}).get(CHANNELS, [])
        rows.append(
            RouteRow(
                route=route,
                summary=summary(route),
                channels=[
                    f"escalation {policies[entry['escalation']]}"
                    if entry.get("escalation") in policies
                    else names.get(entry.get("channel", 0), "another channel")
                    for entry in entries
                ],
                matched=step.matched if step else False,
                ends=step.ends if step else False,
                reason=step.reason if step else "",
            )
        )
    return rows


def visible_incidents(workspaces: Collection[str] | None) -> QuerySet[Incident]:
    """Incidents with an alert that a reader of these workspaces (None: all) may see."""
    visible = Alert.objects.filter(seen_by(workspaces))
    found = Incident.objects.filter(Exists(Member.objects.filter(incident=OuterRef("pk"), alert__in=visible)))
    return marked(found, workspaces)


def _rows(
    incidents: Collection[Incident] | QuerySet[Incident], workspaces: Collection[str] | None
) -> list[IncidentRow]:
    """The incidents with their leading alert and counts, in three queries."""
    found = list(incidents)
    ids = [incident.pk for incident in found]
    visible = Q(alert__in=Alert.objects.filter(seen_by(workspaces)))
    counted = (
        Member.objects.filter(visible, incident__in=ids)
        .values("incident")
        .annotate(alerts=Count("id"), firing=Count("id", filter=Q(alert__ended_at=None)))
        .order_by()
    )
    counts = {entry["incident"]: (entry["firing"], entry["alerts"]) for entry in counted}
    leads: dict[int, Alert] = {}
    first = (
        Member.objects.filter(visible, incident__in=ids)
        .select_related("alert__rule__runbook")
        .order_by("incident_id", "alert__ended_at", "id")
        .distinct("incident_id")
    )
    for member in first:
        leads[member.incident_id] = member.alert
    return [IncidentRow(incident, leads[incident.pk], *counts[incident.pk]) for incident in found]


def worst(rows: list[IncidentRow]) -> list[IncidentRow]:
    """The worst first, then the longest."""
    return sorted(rows, key=lambda row: (gravity(row.lead.labels.get("severity", "")), row.incident.opened_at))


def recent_label_sets(workspaces: Collection[str] | None) -> list[str]:
    """The labels of the alerts that fired last, as they are written, for the tester."""
    alerts = Alert.objects.filter(seen_by(workspaces), fired_at__isnull=False).order_by("-fired_at", "-id")
    return [
        ", ".join(f"{name}={quote(value)}" for name, value in labels.items())
        for labels in alerts.values_list("labels", flat=True)[:20]
    ]


def delivery_counts(since: dt.datetime, workspaces: Collection[str] | None) -> dict[str, int]:
    """How many messages about alerts that a reader of these workspaces may see were sent and failed since then, and how
    many wait."""
    states = Delivery.State
    found = Delivery.objects.filter(created_at__gte=since)
    if workspaces is not None:
        found = found.filter(alert__in=Alert.objects.filter(seen_by(workspaces)))
    return found.aggregate(
        sent=Count("id", filter=Q(state=states.SENT)),
        failed=Count("id", filter=Q(state=states.FAILED)),
        waiting=Count("id", filter=Q(state__in=[states.PENDING, states.SENDING])),
    )
