"""Old spans and logs go by dropping partitions, old traces in short by their start, some at a time."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection

from core.pg.partitions import drop_before
from telemetry.store import partitions, unread_metrics
from usage.store.retention import midnight

AT_ONCE = 5_000


def drop_old(now: datetime) -> list[str]:
    """Drop what is past its retention; the partitions dropped."""
    config = settings.PORTAL
    floor = midnight(now, config.retention_traces_days)
    dropped = [
        *drop_before(partitions.SPANS, floor),
        *drop_before(partitions.LOGS, midnight(now, config.retention_logs_days)),
    ]
    while forget_traces(floor) == AT_ONCE:
        pass
    with connection.cursor() as cursor:
        # Every restart of a service begins other streams.
        cursor.execute("DELETE FROM telemetry_stream WHERE seen < %s", [floor])
    unread_metrics.forget(floor)
    return dropped


def forget_traces(floor: datetime) -> int:
    """Delete some traces in short that ended before their spans' partitions went; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM telemetry_trace WHERE ctid = ANY (ARRAY(SELECT ctid FROM telemetry_trace WHERE finish < %s"
            " LIMIT %s))",
            [floor, AT_ONCE],
        )
        return int(cursor.rowcount)
