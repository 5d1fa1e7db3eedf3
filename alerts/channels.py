"""Writes of channels: create, change, delete, and send a test message."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.crypto import get_random_string

from alerts.encryption import SecretLost, decrypt, encrypt
from alerts.message import test_message
from alerts.models import Channel, Severity
from alerts.transports import TRANSPORTS
from alerts.transports.contract import ConfigInvalid, DeliveryError, Field


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
) -> Channel:
    """A new channel; ConfigInvalid says what is wrong, by field."""
    if kind not in TRANSPORTS:
        raise ConfigInvalid({"kind": f"must be one of {', '.join(TRANSPORTS)}"})
    channel = Channel(kind=kind, send_resolved=send_resolved, enabled=enabled)
    _fill(channel, name, config, severities or [])
    channel.save(force_insert=True)
    return channel


def update_channel(
    channel: Channel,
    *,
    name: str,
    config: dict[str, Any] | None,
    severities: list[str],
    send_resolved: bool,
    enabled: bool,
) -> Channel:
    """Change a channel. `config` None keeps the stored one; it cannot be shown, only replaced."""
    channel.send_resolved = send_resolved
    channel.enabled = enabled
    _fill(channel, name, config, severities)
    channel.save()
    return channel


def delete_channel(channel: Channel) -> None:
    """Remove the channel and its secret. Its deliveries stay, under its name; those still to be sent are dropped."""
    with transaction.atomic():
        channel.deliveries.filter(state__in=["pending", "sending"]).update(state="skipped")
        channel.delete()


def send_test(channel: Channel, *, now: dt.datetime) -> TestResult:
    """Send a test message at once and say what happened. It leaves no delivery behind."""
    start = time.monotonic()
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
    elif Channel.objects.filter(name=channel.name).exclude(pk=channel.pk).exists():
        errors["name"] = "is taken"
    if set(severities) - set(Severity.values):
        errors["severities"] = f"must be among {', '.join(Severity.values)}"
    channel.severities = severities
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
