"""Alerts, groups, silences and the state of the portal in Alertmanager's JSON."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.conf import settings

from alerts.incidents.models import Member, Silence
from alerts.incidents.muting import matchers_of
from alerts.incidents.policy import Policy
from alerts.incidents.routing.alertmanager_file import export_file
from alerts.models import Alert, State
from alerts.queries import seen_by
from alerts.routing.configuration import ConfigurationError
from alerts.routing.inhibition import Inhibitor
from alerts.routing.matchers import Matchers, all_match
from alerts.routing.tree import route_of

MAX_LISTED = 20_000
# The version whose API this is.
VERSION = "0.27.0"
FOREVER = dt.timedelta(minutes=5)


def alerts(
    policy: Policy, filters: Matchers, workspaces: Collection[str] | None, now: dt.datetime
) -> list[dict[str, Any]]:
    """Every alert that fires and that a reader of these workspaces (None: all) may see, with what mutes it and who
    receives it."""
    firing = list(
        Alert.objects.filter(state=State.FIRING, rule__shadow=False).order_by("fingerprint", "pk")[:MAX_LISTED]
    )
    rules = policy.configuration.inhibit_rules if policy.configuration else ()
    inhibitor = Inhibitor(rules, ((alert.fingerprint, alert.labels) for alert in firing))
    active = Silence.objects.filter(starts_at__lte=now, ends_at__gt=now)
    silences = [(str(silence.pk), matchers_of(silence)) for silence in active.order_by("pk")]
    visible = set(Alert.objects.filter(seen_by(workspaces), state=State.FIRING).values_list("pk", flat=True))
    found = []
    for alert in firing:
        if alert.pk not in visible or not all_match(filters, alert.labels):
            continue
        inhibited = inhibitor.inhibited_by(alert.labels)
        silenced = [silence_id for silence_id, matchers in silences if all_match(matchers, alert.labels)]
        muted = bool(inhibited or silenced)
        found.append(
            {
                "annotations": alert.annotations,
                "endsAt": stamp(alert.expires_at or now + FOREVER),
                "fingerprint": alert.fingerprint,
                "receivers": [{"name": name} for name in receivers(policy, alert)],
                "startsAt": stamp(alert.fired_at or alert.active_at),
                "status": {
                    "inhibitedBy": [inhibited] if inhibited else [],
                    "silencedBy": silenced,
                    "state": "suppressed" if muted else "active",
                },
                "updatedAt": stamp(now),
                "generatorURL": f"{settings.PORTAL.public_url}/alerts/{alert.pk}/",
                "labels": alert.labels,
            }
        )
    return found


def groups(policy: Policy, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The open incidents with those of the alerts that are in them."""
    by_fingerprint = {alert["fingerprint"]: alert for alert in listed}
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    incidents = {}
    members = Member.objects.filter(done=False, incident__closed_at=None, alert__state=State.FIRING)
    for member in members.select_related("incident", "alert").order_by("incident_id", "alert__fingerprint")[
        :MAX_LISTED
    ]:
        if alert := by_fingerprint.get(member.alert.fingerprint):
            incidents[member.incident_id] = member.incident
            found[member.incident_id].append(alert)
    return [
        {
            "alerts": alerts,
            "labels": incidents[pk].group_labels,
            "receiver": {"name": incidents[pk].receiver or "portal"},
        }
        for pk, alerts in found.items()
    ]


def receivers(policy: Policy, alert: Alert) -> list[str]:
    """The names of the receivers that an alert goes to; `portal` while each rule chooses its channels."""
    if policy.configuration is None:
        return ["portal"]
    return list(dict.fromkeys(route.receiver for route in route_of(policy.configuration.root, alert.labels)))


def silence(found: Silence, now: dt.datetime) -> dict[str, Any]:
    """A silence."""
    return {
        "id": str(found.pk),
        "status": {"state": found.state(now)},
        "updatedAt": stamp(found.updated_at),
        "comment": found.comment,
        "createdBy": found.created_by,
        "startsAt": stamp(found.starts_at),
        "endsAt": stamp(found.ends_at),
        "matchers": [
            {"name": name, "value": value, "isRegex": "~" in op, "isEqual": not op.startswith("!")}
            for name, op, value in found.matchers
        ],
    }


def status(started: dt.datetime, workspaces: Collection[str] | None) -> dict[str, Any]:
    """The routing in force as a reader of these workspaces (None: all) may see it, without secrets, and which API this
    is."""
    try:
        original = export_file(workspaces)
    except ConfigurationError:
        original = "route: {receiver: portal}\nreceivers: [{name: portal}]\n"
    build = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return {
        "cluster": {"name": "", "peers": [], "status": "disabled"},
        "config": {"original": original},
        "uptime": stamp(started),
        "versionInfo": {**build, "version": VERSION},
    }


def stamp(at: dt.datetime) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
