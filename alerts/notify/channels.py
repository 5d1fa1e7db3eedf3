"""Writes of channels: create, change, delete, and send a test message."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.crypto import get_random_string

from alerts.models import Channel, Severity
from alerts.notify.encryption import SecretLost, decrypt, encrypt
from alerts.notify.message import test_message
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import ConfigInvalid, DeliveryError, Field
from core.accounts.models import Workspace
from core.audit.record import record, record_change, snapshot

AUDITED = ("name", "kind", "target", "severities", "send_resolved", "enabled", "rate_limit", "rate_seconds")
# Each incident is an item of its own there, to be resolved one by one: they cannot be one message.
WITHOUT_DIGEST = (Channel.Kind.PAGERDUTY, Channel.Kind.OPSGENIE, Channel.Kind.ALERTMANAGER)
MAX_RATE, MAX_RATE_SECONDS = 1000, 86_400


@dataclass(frozen=True)
class TestResult:
    """What became of a test message. `reply` is what the other side said, `error` why it did not arrive."""

    ok: bool
    duration_seconds: float
    reply: str
    error: str


def config_fields(kind: str) -> tuple[Field, ...]:
    """What a form has to ask for a channel of this kind."""
    return TRANSPORTS[kind].FIELDS


def create_channel(
    kind: str,
    name: str,
    config: dict[str, Any],
    *,
    severities: list[str] | None = None,
    send_resolved: bool = True,
    enabled: bool = True,
    workspace: Workspace | None = None,
    person: User | None = None,
    delay_seconds: int = 0,
    follows: str = "",
    rate_limit: int | None = None,
    rate_seconds: int = 600,
) -> Channel:
    """A new channel, of the workspace or (None) of the whole portal, or a person's own;
    ConfigInvalid describes the problem, by field."""
    if kind not in TRANSPORTS:
        raise ConfigInvalid({"kind": f"must be one of {', '.join(TRANSPORTS)}"})
    channel = Channel(kind=kind, workspace=workspace, send_resolved=send_resolved, enabled=enabled)
    channel.person, channel.delay_seconds, channel.follows = person, delay_seconds, follows
    channel.rate_limit, channel.rate_seconds = rate_limit, rate_seconds
    _fill(channel, name, config, severities or [])
    with transaction.atomic():
        channel.save(force_insert=True)
        record("created", channel, after=snapshot(channel, AUDITED))
    return channel


def update_channel(
    channel: Channel,
    *,
    name: str,
    config: dict[str, Any] | None,
    severities: list[str],
    send_resolved: bool,
    enabled: bool,
    rate_limit: int | None,
    rate_seconds: int,
) -> Channel:
    """Change a channel. `config` None keeps the stored one; it cannot be shown, only replaced."""
    before = snapshot(Channel.every.get(pk=channel.pk), AUDITED)
    channel.send_resolved = send_resolved
    channel.enabled = enabled
    channel.rate_limit, channel.rate_seconds = rate_limit, rate_seconds
    _fill(channel, name, config, severities)
    secret = {"secret": None} if config is None else {"secret": "replaced"}
    with transaction.atomic():
        channel.save()
        record_change(channel, {**before, "secret": None}, {**snapshot(channel, AUDITED), **secret})
    return channel


def delete_channel(channel: Channel) -> None:
    """Remove the channel and its secret. Its deliveries stay, under its name; those still to be sent are dropped."""
    with transaction.atomic():
        channel.deliveries.filter(state__in=["pending", "sending"]).update(state="skipped")
        record("deleted", channel, before=snapshot(channel, AUDITED))
        channel.delete()


def send_test(channel: Channel, *, now: dt.datetime) -> TestResult:
    """Send a test message at once and say what happened. It leaves no delivery behind."""
    start = time.monotonic()
    record("tested", channel)
    try:
        message = test_message(channel.name, now, get_random_string(12))
        reply = TRANSPORTS[channel.kind].notify(message, decrypt(channel.config_encrypted))
    except SecretLost as error:
        return TestResult(False, time.monotonic() - start, "", str(error))
    except DeliveryError as error:
        return TestResult(False, time.monotonic() - start, error.reply, str(error))
    return TestResult(True, time.monotonic() - start, reply, "")


def _fill(channel: Channel, name: str, config: dict[str, Any] | None, severities: list[str]) -> None:
    """Check and set what both writes share."""
    errors: dict[str, str] = {}
    channel.name = name.strip()
    if not channel.name:
        errors["name"] = "is missing"
    elif Channel.every.filter(name=channel.name, workspace=channel.workspace_id).exclude(pk=channel.pk).exists():
        errors["name"] = "is taken"
    if set(severities) - set(Severity.values):
        errors["severities"] = f"must be among {', '.join(Severity.values)}"
    channel.severities = severities
    errors |= _rate_problems(channel)
    if config is not None:
        transport = TRANSPORTS[channel.kind]
        try:
            checked = transport.parse_config(config)
        except ConfigInvalid as error:
            errors |= error.errors
        else:
            channel.config_encrypted = encrypt(checked)
            channel.target = transport.target(checked)
    if errors:
        raise ConfigInvalid(errors)


def _rate_problems(channel: Channel) -> dict[str, str]:
    if channel.rate_limit is None:
        return {}
    if channel.kind in WITHOUT_DIGEST:
        kind = Channel.Kind(channel.kind).label
        return {"rate_limit": f"cannot be: each incident is an item of its own in {kind}, which resolves it"}
    errors = {}
    if not 1 <= channel.rate_limit <= MAX_RATE:
        errors["rate_limit"] = f"must be 1 to {MAX_RATE}"
    if not 10 <= channel.rate_seconds <= MAX_RATE_SECONDS:
        errors["rate_seconds"] = f"must be 10 to {MAX_RATE_SECONDS}"
    return errors
