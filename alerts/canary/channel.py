"""10 notify, the canary's end: sending notes that the message has arrived."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from alerts.canary.models import CanaryRun
from alerts.notify.transports.contract import Field, Message

KIND = "canary"
FIELDS: tuple[Field, ...] = ()


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """Nothing is to be configured."""
    return {}


def target(config: dict[str, Any]) -> str:
    """The portal itself."""
    return ""


def notify(message: Message, config: dict[str, Any]) -> str:
    """Note the arrival of every run whose alert has fired."""
    count = CanaryRun.objects.filter(arrived_at=None, found_at__isnull=False).update(arrived_at=timezone.now())
    return f"{count} arrived"
