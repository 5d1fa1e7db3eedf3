"""9 to 10, of the canary: its flip's delivery to the portal's own channel, in the transaction of the flip."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from alerts.canary import channel
from alerts.canary.models import CanaryRun
from alerts.models import Channel, Delivery, Flip, State
from alerts.notify.encryption import encrypt
from alerts.notify.wake import wake_channels


def deliver(flips: Sequence[Flip], now: dt.datetime) -> None:
    """Queue the message of each flip, already saved, with which the canary's rule fires; after the commit, wake its
    channel."""
    news = [flip for flip in flips if flip.to_state == State.FIRING and flip.alert.rule.origin.get("canary")]
    if not news:
        return
    CanaryRun.objects.filter(found_at=None, arrived_at=None).update(found_at=now)
    to = own_channel()
    Delivery.objects.bulk_create(
        Delivery(
            flip=flip,
            alert=flip.alert,
            channel=to,
            channel_name=to.name,
            firing=[flip.alert_id],
            created_at=now,
            next_attempt_at=now,
        )
        for flip in news
    )
    transaction.on_commit(lambda: wake_channels([to.pk]), robust=True)


def own_channel() -> Channel:
    """The portal's own channel, which no list shows and no severity chooses."""
    found, _ = Channel.every.get_or_create(
        kind=channel.KIND,
        workspace=None,
        name="the portal's canary",
        defaults={"config_encrypted": encrypt({}), "severities": ["none"], "send_resolved": False},
    )
    return found
