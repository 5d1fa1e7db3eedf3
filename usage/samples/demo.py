"""Demo traffic: started and stopped by an operator, in a workspace of its own, so that nothing invented mixes with what
is real.

While it runs a task sends the invented records (`usage.samples.demo_world`) of the time that went by through the same
way as everybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from core.accounts.keys import Caller, create_key
from core.accounts.models import DEMO, ApiKey, Membership, Workspace
from core.audit.record import record
from usage.ingest.pipeline import ingest
from usage.models import DemoTraffic
from usage.samples.demo_world import TICK, records

SLUG = DEMO
LASTS = timedelta(hours=1)
HISTORY = timedelta(minutes=10)
SLICE_SECONDS = 600


def running(now: datetime) -> DemoTraffic | None:
    """The traffic that runs, if it does."""
    return DemoTraffic.objects.filter(ends_at__gt=now).first()


def start(by: User | None, now: datetime) -> DemoTraffic:
    """Start it, with some minutes of history so that charts are not empty. What runs already runs on."""
    with transaction.atomic():
        workspace = _workspace()
        if by is not None:
            Membership.objects.get_or_create(user=by, workspace=workspace, defaults={"role": "viewer"})
        traffic, made = DemoTraffic.objects.select_for_update().get_or_create(
            pk=1, defaults={"started_at": now, "ends_at": now + LASTS, "sent_until": now - HISTORY}
        )
        if not made and traffic.ends_at <= now:
            traffic.started_at, traffic.ends_at = now, now + LASTS
            traffic.sent_until = max(traffic.sent_until, now - HISTORY)
            traffic.save()
        record("started", traffic, workspace=SLUG, by=by)
    send_due(now)
    return traffic


def stop(now: datetime) -> bool:
    """Stop it; whether it ran."""
    with transaction.atomic():
        traffic = running(now)
        if traffic is None:
            return False
        DemoTraffic.objects.filter(pk=traffic.pk).update(ends_at=now)
        record("stopped", traffic, workspace=SLUG)
    return True


def to_send(now: datetime) -> QuerySet[DemoTraffic]:
    """Traffic of which something has not been sent yet."""
    return DemoTraffic.objects.filter(sent_until__lt=now).filter(sent_until__lt=F("ends_at"))


def send_due(now: datetime) -> int:
    """Send the records of the time since the last call; how many were new.

    Two at once do no harm: the same time makes the same records, which count once.
    """
    traffic = DemoTraffic.objects.filter(sent_until__lt=now).first()
    if traffic is None:
        return 0
    since = max(traffic.sent_until, now - HISTORY)
    until = min(now, traffic.ends_at)
    if _tick(until) <= _tick(since):
        return 0
    sent = backfill(since, until, now)
    DemoTraffic.objects.filter(pk=traffic.pk, sent_until__lt=until).update(sent_until=until)
    return sent


def backfill(start: datetime, end: datetime, now: datetime, progress: Callable[[float], None] = lambda _: None) -> int:
    """Send the records of [start, end), received at `now`; how many were new. `progress` hears the share that is
    done."""
    sender = caller()
    first, last = _tick(start), _tick(end)
    accepted = 0
    for at in range(first, last, SLICE_SECONDS):
        batch = list(records(at, min(at + SLICE_SECONDS, last)))
        accepted += ingest(msgspec.json.encode(batch), sender, now.timestamp()).accepted
        progress((at + SLICE_SECONDS - first) / (last - first))
    return accepted


def _tick(at: datetime) -> int:
    """The start of its tick, in epoch seconds."""
    return int(at.astimezone(UTC).timestamp()) // TICK * TICK


def _workspace() -> Workspace:
    workspace, _ = Workspace.objects.get_or_create(slug=SLUG, defaults={"name": "Demo"})
    return workspace


def caller() -> Caller:
    """Whose records they are: a key that nobody knows, so that pages by key show them."""
    workspace = _workspace()
    key = ApiKey.objects.filter(workspace=workspace, name="demo traffic").first()
    if key is None:
        key, _ = create_key("demo traffic", workspace, ("ingest", "backfill"))
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    return Caller(key.pk, workspace.pk, workspace.slug, frozenset(key.scopes))
