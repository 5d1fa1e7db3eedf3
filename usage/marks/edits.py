"""Writes of marks."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction

from core.accounts.holder import Actor, KeyHolder
from core.accounts.ownership import changer_of
from core.audit.record import record, record_change, snapshot
from usage.models import Mark

AUDITED = ("at", "title", "text", "link", "labels")
MAX_LABELS = 20
BATCH = 5000


def may_mark(actor: Actor, workspace_id: int | None) -> bool:
    """Whether the actor may set and remove marks there: operators, and the workspace's keys that send records, as
    what is deployed is what sends them."""
    if isinstance(actor, KeyHolder) and "ingest" in actor.key.scopes and actor.key.workspace_id == workspace_id:
        return workspace_id is not None
    return changer_of(actor).may(workspace_id)


def save_mark(mark: Mark, *, by: Actor) -> Mark:
    """Store a checked mark."""
    old = Mark.objects.filter(pk=mark.pk).first()
    with transaction.atomic():
        if old is None:
            mark.author_name = by.get_username()[:150]
        mark.save()
        if old is None:
            record("created", mark, after=snapshot(mark, AUDITED), by=by)
        else:
            record_change(mark, snapshot(old, AUDITED), snapshot(mark, AUDITED), by=by)
    return mark


def delete_mark(mark: Mark, *, by: Actor) -> None:
    """Forget a mark."""
    with transaction.atomic():
        record("deleted", mark, before=snapshot(mark, AUDITED), by=by)
        mark.delete()


def forget_old(now: dt.datetime, batch: int = BATCH) -> int:
    """Delete marks of times of which no chart has values any more; how many."""
    old = Mark.objects.filter(at__lt=now - dt.timedelta(days=settings.PORTAL.retention_1h_days)).order_by("at")
    forgotten = 0
    while ids := list(old.values_list("pk", flat=True)[:batch]):
        Mark.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten
