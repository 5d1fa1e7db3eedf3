"""An Alertmanager configuration file brought in, its receivers as channels; and the
routing in force written as such a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from alerts.incidents.models import RoutingVersion
from alerts.incidents.policy import CHANNELS, current_configuration
from alerts.incidents.routing.branches import named_receivers, seen
from alerts.incidents.routing.edits import save_routing
from alerts.incidents.routing.receivers import INTEGRATIONS, Entry, write_entry
from alerts.models import Channel, EscalationPolicy
from alerts.notify.channels import create_channel, update_channel
from alerts.notify.encryption import decrypt
from alerts.notify.transports.contract import ConfigInvalid
from alerts.routing.configuration import (
    ConfigurationError,
    dump,
    parse_configuration,
    write_configuration,
)
from core.accounts.holder import Actor
from core.accounts.ownership import all_or, owned
from core.pg.text import storable

T = TypeVar("T", Channel, EscalationPolicy)


@dataclass
class Imported:
    """What came of a file. `left_out` are the entries that could not become a channel, with the reason."""

    version: RoutingVersion
    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def import_file(text: str, *, by: Actor | None, now: dt.datetime) -> Imported:
    """Put the file's routing in force. A channel is named after its receiver; one of that
    name and kind is changed. All or nothing.

    ConfigurationError describes what Alertmanager would refuse too. Entries without a
    counterpart here are left out and named.
    """
    configuration = parse_configuration(text)
    found = Imported(RoutingVersion())
    with transaction.atomic():
        receivers: list[dict[str, Any]] = []
        for name, entries in configuration.receivers.items():
            receivers.append({"name": name, CHANNELS: _channels(name, entries, configuration.settings, found)})
        found.version = save_routing({**write_configuration(configuration), "receivers": receivers}, by=by, now=now)
    return found


def export_file(workspaces: Collection[str] | None = None, *, secrets: bool = False) -> str:
    """The routing in force as a file for Alertmanager, as a reader of these workspaces (None: all) may see it.
    ConfigurationError while no tree is saved."""
    configuration = current_configuration()[1]
    if configuration is None:
        raise ConfigurationError("no routing tree is saved: each rule chooses its channels")
    configuration = seen(configuration, workspaces)
    channels = Channel.objects.filter(owned(all_or(workspaces))).in_bulk()
    found = write_configuration(configuration)
    lost: list[str] = []
    found["receivers"] = [
        _receiver(name, entries.get(CHANNELS, []), channels, secrets, lost)
        for name, entries in configuration.receivers.items()
    ]
    if any("email_configs" in receiver for receiver in found["receivers"]):
        found["global"] |= _mail_settings(secrets)
    comments = [f"# Alertmanager has no receiver like {name}.\n" for name in lost]
    if not secrets:
        comments.insert(0, "# Secrets are left out: `manage.py alertmanager export --secrets` writes them.\n")
    return "".join(comments) + dump(found)


def editable_file(workspaces: Collection[str] | None = None) -> str:
    """The routing in force as people edit it, as a reader of these workspaces (None: all) may see it: receivers name
    the channels that there are. Empty while no tree is saved."""
    configuration = current_configuration()[1]
    if configuration is None:
        return ""
    shown = seen(configuration, workspaces)
    receivers = [{"name": name, CHANNELS: entries} for name, entries in named_receivers(shown, workspaces).items()]
    return dump({**write_configuration(shown), "receivers": receivers})


def _channels(receiver: str, entries: dict[str, list[Entry]], general: Entry, found: Imported) -> list[dict[str, int]]:
    """The channels and escalation policies of a receiver's entries."""
    several = sum(len(entries[kind]) for kind in entries) > 1
    channels = []
    for kind, listed in entries.items():
        for number, entry in enumerate(listed, 1):
            if kind == CHANNELS and "escalation" in entry:
                channels.append({"escalation": _policy(entry, receiver)})
                continue
            label = f"{receiver} {kind.removesuffix('_configs')}" if several else receiver
            name = f"{label} {number}" if len(listed) > 1 else label
            channel = _channel(name[:100], kind, entry, general, found)
            if channel is not None:
                channels.append({"channel": channel.pk})
    return channels


def _policy(entry: Entry, receiver: str) -> int:
    known = _named(EscalationPolicy.objects.all(), str(entry["escalation"]), entry)
    if known is None:
        raise ConfigurationError(f"receiver {receiver!r}: there is no escalation policy {entry['escalation']!r}")
    return known.pk


def _named(things: QuerySet[T], name: str, entry: Entry) -> T | None:
    """One by its name: of the `workspace` that the entry says, else the portal's, else whosever it is."""
    owner = storable(str(entry.get("workspace") or ""))
    named = things.filter(name=storable(name), **({"workspace__slug": owner} if owner else {}))
    return named.order_by(F("workspace").asc(nulls_first=True)).first()


def _channel(name: str, kind: str, entry: Entry, general: Entry, found: Imported) -> Channel | None:
    if kind == CHANNELS:
        known = _named(Channel.objects.all(), str(entry.get("channel")), entry)
        if known is None:
            raise ConfigurationError(f"receiver {name!r}: there is no channel {entry.get('channel')!r}")
        return known
    integration = INTEGRATIONS.get(kind)
    if integration is None:
        found.left_out.append(f"{name}: {kind} has no channel here")
        return None
    config = integration.configure(entry, general)
    resolved = bool(entry.get("send_resolved", integration.send_resolved))
    old = Channel.objects.filter(name=name, workspace=None).first()
    if old is not None and old.kind != integration.kind:
        name, old = f"{name} ({integration.kind})"[:100], None
    try:
        if old is None:
            found.created.append(name)
            return create_channel(integration.kind, name, config, send_resolved=resolved)
        found.changed.append(name)
        return update_channel(
            old,
            name=name,
            config=config,
            severities=old.severities,
            send_resolved=resolved,
            enabled=old.enabled,
            rate_limit=old.rate_limit,
            rate_seconds=old.rate_seconds,
        )
    except ConfigInvalid as error:
        (found.created if old is None else found.changed).pop()
        files = [field for field in entry if field.endswith("_file")]
        reason = f"{', '.join(files)} cannot be read here" if files else str(error)
        found.left_out.append(f"{name}: {reason}")
        return None


def _receiver(
    name: str, entries: list[Entry], channels: dict[int, Channel], secrets: bool, lost: list[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    names = (
        dict(EscalationPolicy.objects.values_list("pk", "name")) if any("escalation" in one for one in entries) else {}
    )
    for entry in entries:
        channel = channels.get(entry.get("channel") or 0)
        if channel is None:
            lost += [names[entry["escalation"]]] if entry.get("escalation") in names else []
            continue
        written = write_entry(channel, decrypt(channel.config_encrypted), secrets=secrets)
        if written is None:
            lost.append(channel.name)
        else:
            found.setdefault(written[0], []).append(written[1])
    return found


def _mail_settings(secrets: bool) -> dict[str, Any]:
    """The mail server, which an Alertmanager needs to know."""
    parts = urlsplit(settings.PORTAL.email_url or "smtp://localhost:25")
    found: dict[str, Any] = {
        "smtp_smarthost": f"{parts.hostname or 'localhost'}:{parts.port or 25}",
        "smtp_from": settings.PORTAL.email_from,
        "smtp_require_tls": "tls=starttls" in parts.query,
    }
    if parts.username:
        password = parts.password or ""
        found |= {"smtp_auth_username": parts.username, "smtp_auth_password": password if secrets else "<secret>"}
    return found
