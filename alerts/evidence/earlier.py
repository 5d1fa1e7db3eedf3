"""Similar past alerts, and how they ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from alerts.incidents.mixed import marked
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.models import Alert
from alerts.queries import seen_by

SHOWN = 5
WITHIN = dt.timedelta(days=90)


@dataclass(frozen=True)
class Earlier:
    """An alert that fired before. `is_same`: of the same label set; `end` is how it ended in somebody's words, or
    empty."""

    alert: Alert
    is_same: bool
    end: str


def earlier_alerts(alert: Alert, workspaces: Collection[str] | None, *, only_same: bool = False) -> list[Earlier]:
    """Those of the last WITHIN of the same label set, then unless `only_same` others of its rule, the newest first,
    that a reader of these workspaces (None: all) may see."""
    past = (
        Alert.objects.filter(seen_by(workspaces), rule=alert.rule_id, fired_at__gte=alert.active_at - WITHIN)
        .filter(active_at__lt=alert.active_at)
        .exclude(pk=alert.pk)
        .select_related("rule")
        .order_by("-fired_at", "-id")
    )
    same = list(past.filter(fingerprint=alert.fingerprint)[:SHOWN])
    more = 0 if only_same else SHOWN - len(same)
    others = list(past.exclude(fingerprint=alert.fingerprint)[:more]) if more else []
    ends = _ends([*same, *others], workspaces) if same or others else {}
    return [Earlier(one, one.fingerprint == alert.fingerprint, ends.get(one.pk, "")) for one in (*same, *others)]


def _ends(alerts: list[Alert], workspaces: Collection[str] | None) -> dict[int, str]:
    """How the incidents of the alerts ended, by the alerts' ids: what was written down, else their last comment. What
    others may have written of their own alerts is left out."""
    members = dict(Member.objects.filter(alert__in=alerts).order_by("id").values_list("incident", "alert"))
    found = {}
    for incident in marked(Incident.objects.filter(pk__in=members), workspaces):
        if not incident.is_mixed:
            found[incident.pk] = incident.outcome
    silent = [pk for pk, outcome in found.items() if not outcome]
    comments = IncidentEvent.objects.filter(incident__in=silent, kind=IncidentEvent.Kind.COMMENT)
    found |= dict(comments.order_by("at", "id").values_list("incident", "text"))
    return {
        alert: found.get(incident, "")
        for incident, alert in Member.objects.filter(alert__in=alerts).values_list("incident", "alert")
    }
