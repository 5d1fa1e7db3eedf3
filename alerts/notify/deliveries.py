"""10 notify: deliveries are sent after the commit that made them, each channel by one worker at a
time, in order, until they arrive or cannot.

A delivery is claimed by an update that only one worker wins. A claim older than `CLAIM` belongs to a worker that died,
and is taken again: a message may come twice after a crash, never not at all. After a failure the whole channel rests,
so that a dead one costs one attempt per rest and delays nobody else.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from alerts.models import Channel, Delivery, DeliveryAttempt
from alerts.notify.digest import OPEN, digest_message, gather, room
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.incident_message import delivery_message
from alerts.notify.templates import apply_template
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import DeliveryError, Reply
from core.net.tracing import span

logger = logging.getLogger(__name__)
# Longer than any attempt: a mail may take SECONDS_IN_ALL and a few steps of 10 s.
CLAIM = dt.timedelta(seconds=90)
DRAIN_SECONDS = 20
GIVE_UP = dt.timedelta(hours=24)
FIRST_PAUSE, LONGEST_PAUSE, REST = 10.0, 900.0, 30.0
# What is not sent once somebody has acknowledged: it tells nothing new.
QUIET_WHEN_TAKEN = (Delivery.Why.REPEAT, Delivery.Why.UNMUTED, Delivery.Why.ESCALATED)


@dataclass(frozen=True)
class Attempt:
    """What came of one try. In seconds: `retry_in` until the next (None: there is none),
    `rest` for the channel's other messages."""

    ok: bool
    seconds: float
    reply: str = ""
    error: str = ""
    retry_in: float | None = None
    rest: float = 0.0
    reference: str = ""


def send_channel(channel_id: int, clock: Callable[[], dt.datetime]) -> int:
    """Send what is due on the channel, oldest first, for a while; how many were tried.
    Another worker at it: nothing to do."""
    until = clock() + dt.timedelta(seconds=DRAIN_SECONDS)
    tried = 0
    while clock() < until:
        delivery = claim(channel_id, clock())
        if delivery is None:
            break
        deliver(delivery, clock)
        tried += 1
    return tried


def due_channels(now: dt.datetime) -> list[int]:
    """Channels that have something to send."""
    return sorted(set(_due(now).values_list("channel_id", flat=True)))


def claim(channel_id: int, now: dt.datetime) -> Delivery | None:
    """The channel's next delivery, now ours, with all of its digest. None when nothing is due, the channel takes no
    more for now, or another worker is sending on it."""
    with transaction.atomic():
        channel = Channel.every.select_for_update(skip_locked=True, no_key=True).filter(pk=channel_id).first()
        if channel is None:
            return None
        busy = Delivery.objects.filter(channel=channel, state=Delivery.State.SENDING, claimed_at__gt=now - CLAIM)
        if busy.exists():
            return None
        next_one = _next(channel, now)
        if next_one is None:
            return None
        digest = next_one.digest
        if digest is None:
            left, opens = room(channel, now)
            if left < 1:
                _rest(channel.deliveries.filter(digest=None), opens)
                return None
            digest = gather(channel, now) if left == 1 else None
        every = Delivery.objects.filter(channel=channel)
        ours = every.filter(digest=digest) if digest else every.filter(pk=next_one.pk)
        ours.filter(state__in=OPEN).update(state=Delivery.State.SENDING, claimed_at=now, attempts=F("attempts") + 1)
    return _whole(ours).filter(state=Delivery.State.SENDING, claimed_at=now).order_by("id").first()


def deliver(delivery: Delivery, clock: Callable[[], dt.datetime]) -> None:
    """Try once to send a claimed delivery, with its digest, and keep what came of it."""
    start = clock()
    channel, parts = delivery.channel, _parts(delivery)
    moot = _moot(parts, channel, start)
    _settle([part for part in parts if part.pk in moot], Delivery.State.SKIPPED, start)
    parts = [part for part in parts if part.pk not in moot]
    if channel is None or not parts:
        return
    attempt = attempt_to_send(parts, channel, start)
    now = clock()
    late = attempt.retry_in is not None and now - delivery.created_at > GIVE_UP
    with transaction.atomic():
        DeliveryAttempt.objects.bulk_create(
            DeliveryAttempt(
                delivery=part,
                number=part.attempts,
                at=start,
                duration_seconds=attempt.seconds,
                ok=attempt.ok,
                reply=attempt.reply[:200],
                error=f"{attempt.error} (given up after 24 hours)" if late else attempt.error,
            )
            for part in parts
        )
        if attempt.ok:
            _settle(parts, Delivery.State.SENT, now, attempt.reference)
        elif attempt.retry_in is None or late:
            _settle(parts, Delivery.State.FAILED, now)
        else:
            _postpone(parts, channel, now, attempt)


def attempt_to_send(parts: Sequence[Delivery], channel: Channel, now: dt.datetime) -> Attempt:
    """One try to send a delivery, or several as a digest."""
    delivery = parts[0]
    transport = TRANSPORTS[channel.kind]
    start = time.monotonic()
    try:
        config = decrypt(channel.config_encrypted)
        with span("notify", channel=channel.kind, delivery=delivery.pk):
            message = delivery_message(delivery, now) if len(parts) == 1 else digest_message(parts, channel, now)
            reply = transport.notify(apply_template(message, channel), config)
    except SecretLost as error:
        return Attempt(False, time.monotonic() - start, error=str(error))
    except DeliveryError as error:
        seconds = time.monotonic() - start
        if not error.retry:
            return Attempt(False, seconds, error.reply, str(error))
        retry_in = pause(delivery.attempts, error.after)
        rest = retry_in if error.after is not None else min(retry_in, REST)
        return Attempt(False, seconds, error.reply, str(error), retry_in, rest)
    except Exception as error:
        logger.exception("delivery %s: the transport broke", delivery.pk)
        text = f"internal error: {type(error).__name__}"
        return Attempt(False, time.monotonic() - start, error=text, retry_in=pause(delivery.attempts, None))
    reference = reply.reference if isinstance(reply, Reply) else ""
    return Attempt(True, time.monotonic() - start, reply, reference=reference)


def pause(attempts: int, after: float | None) -> float:
    """Seconds until the next try: what the other side asks for, else doubling, give or take
    a fifth so that not all come at once."""
    if after is not None:
        return min(max(after, 1.0), LONGEST_PAUSE)
    longest = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 20), LONGEST_PAUSE)
    return longest * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, keeps no secret


def _due(now: dt.datetime) -> QuerySet[Delivery]:
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


def _next(channel: Channel, now: dt.datetime) -> Delivery | None:
    """What the channel is to send next; a digest that was begun comes first."""
    due = _due(now).filter(channel=channel).order_by("next_attempt_at", "id")
    begun = due.filter(digest__isnull=False).first() if channel.rate_limit is not None else None
    return begun or due.first()


def _whole(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """With what a message reads."""
    return deliveries.select_related("channel", "incident", "flip__alert__rule__runbook")


def _parts(delivery: Delivery) -> list[Delivery]:
    """The delivery, or all of its digest that was claimed with it."""
    if delivery.digest is None:
        return [delivery]
    ours = Delivery.objects.filter(digest=delivery.digest, state=Delivery.State.SENDING, claimed_at=delivery.claimed_at)
    return list(_whole(ours).order_by("id"))


def _moot(parts: Sequence[Delivery], channel: Channel | None, now: dt.datetime) -> set[int]:
    """Those that nobody needs any more: the channel is off, somebody took or snoozed the incident, or it resolves what
    never arrived there."""
    if channel is None or not channel.enabled:
        return {part.pk for part in parts}
    quiet, endings = set(), []
    for part in parts:
        incident = part.incident
        if incident is None:
            continue
        is_taken = part.why in QUIET_WHEN_TAKEN and (incident.acknowledged_at is not None or incident.is_snoozed(now))
        if is_taken or (part.why == Delivery.Why.ESCALATED and incident.closed_at is not None):
            quiet.add(part.pk)
        elif not part.firing:
            endings.append(part)
    if not endings:
        return quiet
    firing = {pk for part in parts if part.pk not in quiet for pk in part.firing}
    sent = Delivery.objects.filter(
        incident=OuterRef("incident"),
        channel=channel,
        state=Delivery.State.SENT,
        firing__overlap=OuterRef("resolved"),
    )
    ids = [part.pk for part in endings if firing.isdisjoint(part.resolved)]
    return quiet | set(Delivery.objects.filter(~Exists(sent), pk__in=ids).values_list("pk", flat=True))


def _settle(parts: Sequence[Delivery], state: Delivery.State, now: dt.datetime, reference: str = "") -> None:
    """End deliveries, unless their claim was lost meanwhile."""
    if parts:
        _claimed(parts).update(state=state, finished_at=now, claimed_at=None, reference=reference[:100])


def _postpone(parts: Sequence[Delivery], channel: Channel, now: dt.datetime, attempt: Attempt) -> None:
    """Try again later, and let the channel's other messages rest."""
    again = now + dt.timedelta(seconds=attempt.retry_in or 0)
    _claimed(parts).update(state=Delivery.State.PENDING, next_attempt_at=again, claimed_at=None)
    _rest(channel.deliveries.all(), now + dt.timedelta(seconds=attempt.rest))


def _rest(deliveries: QuerySet[Delivery], until: dt.datetime) -> None:
    """Let those that wait wait until then."""
    deliveries.filter(state=Delivery.State.PENDING, next_attempt_at__lt=until).update(next_attempt_at=until)


def _claimed(parts: Sequence[Delivery]) -> QuerySet[Delivery]:
    """Those of the deliveries, claimed together, that are still ours."""
    ids = [part.pk for part in parts]
    return Delivery.objects.filter(pk__in=ids, state=Delivery.State.SENDING, claimed_at=parts[0].claimed_at)
