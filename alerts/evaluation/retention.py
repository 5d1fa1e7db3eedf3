"""What may be forgotten: alerts that never fired (those that did are history, and few),
and what was recorded long ago."""

import datetime as dt

import numpy as np
from django.conf import settings

from alerts.models import Alert, RecordedSeries, RecordedSlot, State

# A transaction's worth. The table is small and not partitioned, so rows are deleted, a few at a time.
BATCH = 5000


def forget_unfired(now: dt.datetime, batch: int = BATCH) -> int:
    """Delete alerts that ended while pending, as old as raw records may become; how many."""
    before = now - dt.timedelta(days=settings.PORTAL.retention_records_days)
    old = Alert.objects.filter(state=State.INACTIVE, fired_at=None, ended_at__lt=before).order_by("ended_at")
    forgotten = 0
    while ids := list(old.values_list("pk", flat=True)[:batch]):
        Alert.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten


def forget_recorded(now: dt.datetime, batch: int = BATCH) -> int:
    """Delete recorded samples that are older than 5-minute rollups become, and series that have none left; how many
    slots of rules. A slot is one row, however many series it has."""
    before = now - dt.timedelta(days=settings.PORTAL.retention_5m_days)
    old = RecordedSlot.objects.filter(at__lt=before).order_by("at")
    forgotten, metrics = 0, set[str]()
    while rows := list(old.values_list("pk", "metric")[:batch]):
        RecordedSlot.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
        forgotten += len(rows)
        metrics.update(metric for _, metric in rows)
    for metric in sorted(metrics):
        _forget_series(metric, before)
    return forgotten


def _forget_series(metric: str, before: dt.datetime) -> None:
    """Delete the metric's series that began before a time and are in no slot that is kept."""
    known = RecordedSeries.objects.filter(metric=metric, first_at__lt=before)
    left = set(known.values_list("pk", flat=True))
    # Most slots have the same series as the one before: each list of them is read once.
    kept = RecordedSlot.objects.filter(metric=metric).order_by().values_list("series", flat=True).distinct()
    for ids in kept.iterator(chunk_size=200):
        left.difference_update(np.frombuffer(ids, "<i8").tolist())
        if not left:
            return
    known.filter(pk__in=left).delete()
