"""10 notify: deliveries are sent after the commit that made them, each channel by one worker at a
time, in order, until they arrive or cannot.

A worker claims one message of a channel, then, while these go quickly, several at once. What came of each is written
down before the next one is sent: of what a worker that dies has claimed, at most one message comes twice. After a
failure the whole channel rests, so that a dead one costs one attempt per rest and delays nobody else.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from alerts.canary import channel as canary
from alerts.models import Channel, Delivery, Incident
from alerts.notify.claims import CLAIM, Claimed, claim, rest
from alerts.notify.digest import digest_message
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.incident_message import delivery_message
from alerts.notify.picture import with_picture
from alerts.notify.templates import apply_template
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import DeliveryError, Reply
from core.net.tracing import span

logger = logging.getLogger(__name__)
ALL_TRANSPORTS = {**TRANSPORTS, canary.KIND: canary}
DRAIN_SECONDS = 20
# How many messages are claimed together, at most, and for how long: what was not begun by then is given back, so that
# what was read with the claim is never older.
BATCH, FRESH = 32, dt.timedelta(seconds=1)
GIVE_UP = dt.timedelta(hours=24)
FIRST_PAUSE, LONGEST_PAUSE, REST = 10.0, 900.0, 30.0
# What is not sent once somebody has acknowledged: it tells nothing new.
QUIET_WHEN_TAKEN = (Delivery.Why.REPEAT, Delivery.Why.UNMUTED, Delivery.Why.ESCALATED)
# Ends deliveries that are still ours, and keeps the attempt of all of them: one round trip for each message.
WRITE_RESULT = """
WITH ended AS (
    UPDATE alerts_delivery
    SET state = %(state)s, finished_at = %(finished_at)s, claimed_at = NULL, next_attempt_at = coalesce(
        %(next_attempt_at)s, next_attempt_at), reference = %(reference)s
    WHERE id = ANY (%(ids)s) AND state = 'sending' AND claimed_at = %(claimed_at)s
)
INSERT INTO alerts_deliveryattempt (delivery_id, number, at, duration_seconds, ok, reply, error)
SELECT id, number, %(at)s, %(seconds)s, %(ok)s, %(reply)s, %(error)s
FROM unnest(%(ids)s, %(numbers)s) AS part (id, number)
"""


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
    """Send what is due on the channel, oldest first, for a while; how many messages were tried.
    Another worker at it: nothing to do."""
    until = clock() + dt.timedelta(seconds=DRAIN_SECONDS)
    tried, most = 0, 1
    while clock() < until:
        claimed = claim(channel_id, clock(), most)
        if claimed is None:
            break
        tried += send_claimed(claimed, clock)
        most = min(2 * most, BATCH) if clock() - claimed.at <= FRESH else 1
    return tried


def send_claimed(claimed: Claimed, clock: Callable[[], dt.datetime]) -> int:
    """Send what was claimed, message by message; how many were tried. What is left when the channel fails or the claim
    is no longer fresh is given back."""
    now, messages = clock(), claimed.messages
    moot = _moot(claimed.deliveries, claimed.channel, now)
    _skip(claimed, [part for part in claimed.deliveries if part.pk in moot], now)
    for place, message in enumerate(messages):
        others = [part for later in messages[place + 1 :] for part in later]
        parts = [part for part in message if part.pk not in moot]
        if clock() - claimed.at > (FRESH if place else CLAIM):
            claimed.give_back([*message, *others])
            return place
        if place and any(_was_taken_meanwhile(part, clock()) for part in parts):
            _skip(claimed, parts, clock())
        elif parts and not deliver(claimed, parts, others, clock):
            return place + 1
    return len(messages)


def deliver(
    claimed: Claimed, parts: Sequence[Delivery], others: Sequence[Delivery], clock: Callable[[], dt.datetime]
) -> bool:
    """Try once to send a message, and keep what came of it. False where the channel has to rest; then the `others` of
    the claim are given back."""
    start = clock()
    attempt = attempt_to_send(parts, claimed, start)
    now = clock()
    late = attempt.retry_in is not None and now - parts[0].created_at > GIVE_UP
    if attempt.ok or attempt.retry_in is None or late:
        state = Delivery.State.SENT if attempt.ok else Delivery.State.FAILED
        _write(claimed, parts, attempt, start, state=state, finished_at=now, late=late)
        return True
    with transaction.atomic():
        again = now + dt.timedelta(seconds=attempt.retry_in)
        _write(claimed, parts, attempt, start, state=Delivery.State.PENDING, next_attempt_at=again)
        claimed.give_back(others)
        rest(claimed.channel.deliveries.all(), now + dt.timedelta(seconds=attempt.rest))
    return False


def attempt_to_send(parts: Sequence[Delivery], claimed: Claimed, now: dt.datetime) -> Attempt:
    """One try to send a delivery, or several as a digest."""
    delivery, channel = parts[0], claimed.channel
    transport = ALL_TRANSPORTS[channel.kind]
    start = time.monotonic()
    try:
        config = decrypt(channel.config_encrypted)
        with span("notify", channel=channel.kind, delivery=delivery.pk):
            if len(parts) == 1:
                message = with_picture(delivery_message(delivery, now), delivery, channel.kind, now)
            else:
                message = digest_message(parts, channel, now)
            reply = transport.notify(apply_template(message, claimed.template), config)
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


def _moot(parts: Sequence[Delivery], channel: Channel, now: dt.datetime) -> set[int]:
    """Those that nobody needs any more: the channel is off, somebody took or snoozed the incident, or it resolves what
    never arrived there."""
    if not channel.enabled:
        return {part.pk for part in parts}
    of_incidents = [(part, part.incident) for part in parts if part.incident is not None]
    quiet = {part.pk for part, incident in of_incidents if _is_quiet(part, incident, now)}
    needed = [part for part, _ in of_incidents if part.pk not in quiet]
    firing = {(part.incident_id, pk) for part in needed for pk in part.firing}
    endings = [part for part in needed if not part.firing]
    ids = [part.pk for part in endings if firing.isdisjoint((part.incident_id, pk) for pk in part.resolved)]
    if not ids:
        return quiet
    sent = Delivery.objects.filter(
        incident=OuterRef("incident"),
        channel=channel,
        state=Delivery.State.SENT,
        firing__overlap=OuterRef("resolved"),
    )
    return quiet | set(Delivery.objects.filter(~Exists(sent), pk__in=ids).values_list("pk", flat=True))


def _was_taken_meanwhile(part: Delivery, now: dt.datetime) -> bool:
    """Whether somebody took the incident after the delivery was claimed."""
    if part.incident is None or part.why not in QUIET_WHEN_TAKEN:
        return False
    part.incident.refresh_from_db(fields=["acknowledged_at", "snoozed_until", "closed_at"])
    return _is_quiet(part, part.incident, now)


def _is_quiet(part: Delivery, incident: Incident, now: dt.datetime) -> bool:
    """Whether the delivery is not needed since somebody has acknowledged or snoozed the incident, or it is over."""
    is_taken = incident.acknowledged_at is not None or incident.is_snoozed(now)
    is_over = part.why == Delivery.Why.ESCALATED and incident.closed_at is not None
    return is_over or (is_taken and part.why in QUIET_WHEN_TAKEN)


def _skip(claimed: Claimed, parts: Sequence[Delivery], now: dt.datetime) -> None:
    """End deliveries that are not needed."""
    if parts:
        done = {"state": Delivery.State.SKIPPED, "finished_at": now, "claimed_at": None}
        claimed.still_ours(parts).update(**done)


def _write(
    claimed: Claimed,
    parts: Sequence[Delivery],
    attempt: Attempt,
    start: dt.datetime,
    *,
    state: Delivery.State,
    finished_at: dt.datetime | None = None,
    next_attempt_at: dt.datetime | None = None,
    late: bool = False,
) -> None:
    """Write down what came of a try that began at `start`."""
    values: dict[str, Any] = {
        "ids": [part.pk for part in parts],
        "numbers": [part.attempts for part in parts],
        "claimed_at": claimed.at,
        "state": state,
        "finished_at": finished_at,
        "next_attempt_at": next_attempt_at,
        "reference": attempt.reference[:100],
        "at": start,
        "seconds": attempt.seconds,
        "ok": attempt.ok,
        "reply": attempt.reply[:200],
        "error": f"{attempt.error} (given up after 24 hours)" if late else attempt.error,
    }
    with connection.cursor() as cursor:
        cursor.execute(WRITE_RESULT, values)
