"""An operator has a failed delivery tried again."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from alerts.models import Delivery
from alerts.notify.wake import wake_channels
from core.audit.record import record


def send_again(delivery: Delivery, now: dt.datetime) -> bool:
    """Queue a failed delivery as new, with its attempts kept. False when it did not fail, or its channel is gone."""
    failed = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.FAILED, channel__isnull=False)
    # Its age counts from now: otherwise the first failure of an old one would give it up at once.
    with transaction.atomic():
        if not failed.update(state=Delivery.State.PENDING, next_attempt_at=now, created_at=now, finished_at=None):
            return False
        record("queued again", delivery)
    channel_id = delivery.channel_id
    if channel_id is not None:
        transaction.on_commit(lambda: wake_channels([channel_id]), robust=True)
    return True
