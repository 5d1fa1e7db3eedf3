"""The notice before a silence ends, to who made it: it can be extended before what it holds back wakes somebody.

A notice is claimed, sent, and only then marked as sent: one that a dead worker took is sent again.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextvars import copy_context

from django.conf import settings
from django.db import connections
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from alerts.incidents.models import Silence
from alerts.incidents.muting import clock, matchers_of
from alerts.incidents.silences import matched_by
from alerts.models import Channel
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.pool import POOL
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import DeliveryError, Message
from alerts.oncall.means import mail_of, means_of
from alerts.routing.matchers import written
from core.accounts import permissions

logger = logging.getLogger(__name__)
BEFORE = dt.timedelta(minutes=15)
# Of one that is shorter its maker knows the end.
SHORTEST = 2 * BEFORE
CLAIM = dt.timedelta(seconds=90)
BATCH = 50
# What interrupts or keeps state on the other side is for incidents.
TALKING = ("email", "slack", "slack_bot", "teams", "discord", "telegram", "google_chat", "ntfy")


def notify_of_ends(now: dt.datetime) -> int:
    """Hand the notices that are due to the threads that send; how many."""
    ids = list(_due(now).order_by("ends_at").values_list("pk", flat=True)[:BATCH])
    for silence_id in ids:
        POOL.submit(copy_context().run, _send_and_close, str(silence_id))
    return len(ids)


def send_notice(silence_id: str, now: dt.datetime) -> bool:
    """Send it, if nobody else is at it; whether it arrived."""
    if not _due(now).filter(pk=silence_id).update(notice_claimed_at=now):
        return False
    silence = Silence.objects.select_related("author").get(pk=silence_id)
    message, arrived = notice_of(silence, now), False
    for channel in _channels(silence):
        try:
            TRANSPORTS[channel.kind].notify(message, decrypt(channel.config_encrypted))
            arrived = True
        except (DeliveryError, SecretLost) as error:
            logger.warning("the notice of silence %s did not arrive: %s", silence.pk, error)
    if arrived:
        Silence.objects.filter(pk=silence_id, notice_claimed_at=now).update(notice_sent_at=now)
    return arrived


def notice_of(silence: Silence, now: dt.datetime) -> Message:
    """What it says: when the silence ends, what it holds back, and where it can be extended."""
    matchers, base = matchers_of(silence), settings.PORTAL.public_url
    slugs = permissions.scope_of(silence.author, {}).slugs if silence.author else frozenset[str]()
    held = len(matched_by(matchers, now, slugs).now)
    fire = "1 alert that fires" if held == 1 else f"{held:,} alerts that fire"
    kept = f"It holds back {fire}: they are notified when it ends." if held else "It holds back nothing now."
    return Message(
        state="notice",
        severity="info",
        title=f"Your silence ends at {clock(silence.ends_at)}: {silence.comment or written(matchers)}",
        alertname="SilenceEnds",
        description=f"It silences {written(matchers)}. {kept} Extend it on the page of silences if it is still needed.",
        labels={},
        annotations={},
        value="",
        threshold="",
        since=silence.starts_at,
        at=silence.ends_at,
        note="",
        rule_url=f"{base}{reverse('rules')}",
        alert_url=f"{base}{reverse('silences')}#silence-{silence.pk}",
        runbook_url="",
        runbook_title="",
        fingerprint=str(silence.pk),
        key=f"silence-{silence.pk}-{silence.ends_at.timestamp():.0f}",
    )


def _due(now: dt.datetime) -> QuerySet[Silence]:
    """Silences that end soon, of people who have not heard it; each window of a recurring one ends as planned."""
    return Silence.objects.filter(
        Q(notice_claimed_at=None) | Q(notice_claimed_at__lte=now - CLAIM),
        author__is_active=True,
        notice_sent_at=None,
        recurring=None,
        starts_at__lte=now,
        ends_at__gt=now,
        ends_at__lte=now + BEFORE,
        ends_at__gte=F("starts_at") + SHORTEST,
    )


def _channels(silence: Silence) -> list[Channel]:
    """The author's means to talk; without any the mail of the account."""
    if silence.author is None:
        return []
    means = means_of([silence.author.pk]).get(silence.author.pk, [])
    if means:
        return [channel for channel in means if channel.kind in TALKING]
    found = mail_of(silence.author)
    return [found] if found is not None else []


def _send_and_close(silence_id: str) -> None:
    try:
        send_notice(silence_id, timezone.now())
    except Exception:
        logger.exception("the notice of silence %s broke", silence_id)
    finally:
        connections.close_all()
