"""10 notify, whose turn: the deliveries of a channel that are to be sent now, claimed by one worker.

A claim is an update that only one worker wins. One that is older than `CLAIM` belongs to a worker that died, and is
taken again: a message may come twice after a crash, never not at all. Of an incident no message is claimed before its
earlier ones to that channel are done, so several that are claimed together tell of different incidents.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from alerts.models import Channel, Delivery, MessageTemplate
from alerts.notify.digest import OPEN, gather, room
from alerts.notify.templates import template_of

# Longer than any attempt: a mail may take SECONDS_IN_ALL and a few steps of 10 s.
CLAIM = dt.timedelta(seconds=90)


@dataclass(frozen=True)
class Claimed:
    """What a worker may send on a channel, in this order, and since when."""

    channel: Channel
    at: dt.datetime
    deliveries: list[Delivery]

    @cached_property
    def template(self) -> MessageTemplate | None:
        """What its messages are written with, read once."""
        return template_of(self.channel)

    @property
    def messages(self) -> list[list[Delivery]]:
        """The deliveries of each message: one, or all of a digest."""
        if self.deliveries and self.deliveries[0].digest:
            return [self.deliveries]
        return [[delivery] for delivery in self.deliveries]

    def still_ours(self, deliveries: Sequence[Delivery]) -> QuerySet[Delivery]:
        """Those of the deliveries whose claim was not lost meanwhile."""
        ids = [delivery.pk for delivery in deliveries]
        return Delivery.objects.filter(pk__in=ids, state=Delivery.State.SENDING, claimed_at=self.at)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let others claim what was not tried."""
        if deliveries:
            again = {"state": Delivery.State.PENDING, "claimed_at": None, "attempts": F("attempts") - 1}
            self.still_ours(deliveries).update(**again)


def due_channels(now: dt.datetime) -> list[int]:
    """Channels that have something to send."""
    return sorted(set(due(now).values_list("channel_id", flat=True)))


def claim(channel_id: int, now: dt.datetime, most: int = 1) -> Claimed | None:
    """The channel's next deliveries, now ours: up to `most` messages, or one digest. None when nothing is due, the
    channel takes no more for now, or another worker sends on it."""
    with transaction.atomic():
        channel = Channel.every.select_for_update(skip_locked=True, no_key=True).filter(pk=channel_id).first()
        if channel is None:
            return None
        every = Delivery.objects.filter(channel=channel)
        # Asked once the lock is ours, so that it sees what was claimed by who had it before.
        if every.filter(state=Delivery.State.SENDING, claimed_at__gt=now - CLAIM).exists():
            return None
        ours = _next(channel, now, most)
        if ours is None:
            return None
        taken = {"state": Delivery.State.SENDING, "claimed_at": now, "attempts": F("attempts") + 1}
        every.filter(ours, state__in=OPEN).update(**taken)
    mine = every.filter(state=Delivery.State.SENDING, claimed_at=now).order_by("next_attempt_at", "id")
    found = list(mine.select_related("incident", "flip__alert__rule__runbook"))
    for delivery in found:
        delivery.channel = channel
    return Claimed(channel, now, found) if found else None


def rest(deliveries: QuerySet[Delivery], until: dt.datetime) -> None:
    """Let those that wait wait until then."""
    deliveries.filter(state=Delivery.State.PENDING, next_attempt_at__lt=until).update(next_attempt_at=until)


def due(now: dt.datetime) -> QuerySet[Delivery]:
    """Deliveries to try now. A message of an incident waits until the earlier ones of
    that incident to that channel are done."""
    before = Delivery.objects.filter(
        incident=OuterRef("incident"), channel=OuterRef("channel"), pk__lt=OuterRef("pk"), state__in=OPEN
    )
    return Delivery.objects.filter(
        Q(state=Delivery.State.PENDING) | Q(state=Delivery.State.SENDING, claimed_at__lte=now - CLAIM),
        ~Exists(before),
        channel__isnull=False,
        next_attempt_at__lte=now,
    )


def _next(channel: Channel, now: dt.datetime, most: int) -> Q | None:
    """Which deliveries come next; None when nothing may be sent. Where the channel takes only so many messages it is
    one, or a digest."""
    waiting = due(now).filter(channel=channel).order_by("next_attempt_at", "id").values_list("pk", "digest")
    limited = channel.rate_limit is not None
    # A digest that was begun has its place among what the channel takes.
    begun = waiting.filter(digest__isnull=False).first() if limited else None
    found = [begun] if begun else list(waiting[: 1 if limited else most])
    if not found:
        return None
    digest = found[0][1]
    if limited and digest is None:
        left, opens = room(channel, now)
        if left < 1:
            rest(channel.deliveries.filter(digest=None), opens)
            return None
        digest = gather(channel, now) if left == 1 else None
    return Q(digest=digest) if digest else Q(pk__in=[pk for pk, digest in found if digest is None])
