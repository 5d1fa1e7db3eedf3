"""An incident with alerts of several workspaces, as a routing tree can make one: what a reader of some of them sees.

They see their own alerts, what was sent of these by channels that they see, and what members of their workspaces did
with the incident; not who else it concerns, nor what those wrote. What is done with an incident holds for all its
alerts, so it is done by who operates the workspaces of all of them, or has its message: the others would be kept from
theirs by a stranger. Comments and ticked steps keep nothing from anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.models import Alert
from alerts.queries import seen_by
from core.accounts.models import Membership
from core.accounts.ownership import owned
from core.accounts.permissions import Person, operated_slugs, sees_all

BY = ("acknowledged_by", "owner", "resolved_by")


def marked(incidents: QuerySet[Incident], workspaces: Collection[str] | None) -> QuerySet[Incident]:
    """The incidents with `has_others`: one has alerts that a reader of these workspaces (None: all) may not see."""
    if workspaces is None:
        return incidents.annotate(has_others=Value(False))
    visible = Alert.objects.filter(seen_by(workspaces))
    return incidents.annotate(
        has_others=Exists(Member.objects.filter(incident=OuterRef("pk")).exclude(alert__in=visible))
    )


def may_act_on(person: Person, incident: Incident) -> bool:
    """Whether the person operates the workspaces of all its alerts; any, for alerts that name none."""
    operated = operated_slugs(person)
    if operated is None:
        return True
    named = Member.objects.filter(incident=incident).values_list("alert__labels__workspace", flat=True).distinct()
    slugs = set(named)
    return bool(operated) and slugs - {None} <= operated and (None not in slugs or sees_all(person))


def colleagues(workspaces: Collection[str] | None) -> frozenset[int]:
    """The ids of the members of these workspaces; none (None: all) where nobody is hidden."""
    found = Membership.objects.filter(workspace__slug__in=workspaces or ())
    return frozenset(found.values_list("user_id", flat=True))


def hide_others(incident: Incident, people: Collection[int]) -> None:
    """Take other people than these off a mixed incident in memory, and what they wrote of its end."""
    if not incident.is_mixed:
        return
    if incident.resolved_by_id not in people:
        incident.outcome = ""
    for name in BY:
        if getattr(incident, f"{name}_id") not in people:
            setattr(incident, name, None)


def seen_events(incident: Incident, events: Iterable[IncidentEvent], people: Collection[int]) -> list[IncidentEvent]:
    """Those of the incident's events that its reader, whose colleagues these are, may see."""
    return [event for event in events if not incident.is_mixed or event.author_id in people]


def of_seen_channels(workspaces: Collection[str] | None, people: Collection[int]) -> Q:
    """Deliveries by channels of the portal, of these workspaces (None: all) and of these people."""
    if workspaces is None:
        return Q()
    return owned(workspaces, "channel__workspace") & (Q(channel__person=None) | Q(channel__person__in=people))
