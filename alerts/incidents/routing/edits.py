"""Writes of the routing: a configuration is checked and kept as a new version."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection, transaction

from alerts.incidents.collect import look_again
from alerts.incidents.models import RoutingVersion
from alerts.incidents.policy import CHANNELS
from alerts.models import Channel, EscalationPolicy, author_fields
from alerts.routing.configuration import ConfigurationError, read_configuration
from core.accounts.holder import Actor
from core.audit.record import record
from core.pg.locks import AdvisoryLock

LOCK = AdvisoryLock(1_634_493_811)  # of who saves a version


def save_routing(raw: dict[str, Any], *, by: Actor | None, now: dt.datetime) -> RoutingVersion:
    """Put a configuration in force. Its receivers name channels and escalation policies by id: `portal_configs:
    [{channel: 1}, {escalation: 2}]`. ConfigurationError says what is wrong."""
    configuration = read_configuration(raw)
    known = set(Channel.objects.values_list("pk", flat=True))
    policies = set(EscalationPolicy.objects.values_list("pk", flat=True))
    for name, settings in configuration.receivers.items():
        for kind, entries in settings.items():
            if kind != CHANNELS:
                raise ConfigurationError(f"receiver {name!r}: {kind} must be imported as channels first")
            for entry in entries:
                if "escalation" in entry:
                    if entry["escalation"] not in policies:
                        raise ConfigurationError(
                            f"receiver {name!r}: there is no escalation policy {entry['escalation']!r}"
                        )
                elif entry.get("channel") not in known:
                    raise ConfigurationError(f"receiver {name!r}: there is no channel {entry.get('channel')!r}")
    return keep_version(raw, by, now)


def remove_routing(*, by: Actor | None, now: dt.datetime) -> RoutingVersion:
    """Go back to each rule's own choice of channels; the tree stays in the history."""
    return keep_version({"route": {"receiver": ""}, "receivers": []}, by, now)


def lock_routing() -> None:
    """Be the only one who saves a version, until the transaction ends."""
    with connection.cursor() as cursor:
        LOCK.take(cursor)


def keep_version(
    raw: dict[str, Any],
    by: Actor | None,
    now: dt.datetime,
    *,
    shown: dict[str, Any] | None = None,
    workspace: str | None = None,
) -> RoutingVersion:
    """Put a checked configuration in force. The audit log gets all of it, or `shown` as the workspace's line."""
    with transaction.atomic():
        lock_routing()
        newest = RoutingVersion.objects.order_by("-number").values_list("number", flat=True).first() or 0
        version = RoutingVersion.objects.create(number=newest + 1, configuration=raw, at=now, **author_fields(by))
        action = "changed" if raw["receivers"] else "removed"
        record(action, version, after=shown or {"routing": raw}, workspace=workspace, by=by)
        look_again(now)
    return version
