"""The tables that are partitioned by time."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.pg.partitions import Partitioned, ensure
from usage.catalog.grains import GRAINS

RECORDS = Partitioned("usage_record", unique="event_id, workspace_id")
SPANS_SEEN = Partitioned("usage_span_seen", unique="claim")
RECEIPTS = Partitioned("usage_receipt")
GAUGES = Partitioned("usage_gauge_sample")
CHUNK_15S = Partitioned("usage_chunk_15s")
CHUNK_1H = Partitioned("usage_chunk_1h", monthly=True)
ALL = (RECORDS, SPANS_SEEN, RECEIPTS, GAUGES, CHUNK_15S, CHUNK_1H, *(grain.partition for grain in GRAINS))


def ensure_ahead(now: datetime, days: int = 3) -> None:
    """Make the partitions of the next days, so that storing never waits for one."""
    for parent in ALL:
        ensure(parent, [now + timedelta(days=day) for day in range(-1, days)])
