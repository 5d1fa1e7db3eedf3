"""What may be forgotten of alerts: episodes that never fired. Those that did are history, and few."""

import datetime as dt

from django.conf import settings

from alerts.models import Alert, State

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
