"""What may be forgotten: alerts that never fired (those that did are history, and few),
and what was recorded long ago."""

import datetime as dt

from django.conf import settings

from alerts.models import Alert, RecordedSlot, State

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
    """Delete recorded samples that are older than 5-minute rollups become; how many slots of rules. A slot
    is one row, however many series it has."""
    old = RecordedSlot.objects.filter(at__lt=now - dt.timedelta(days=settings.PORTAL.retention_5m_days)).order_by("at")
    forgotten = 0
    while ids := list(old.values_list("pk", flat=True)[:batch]):
        RecordedSlot.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten
