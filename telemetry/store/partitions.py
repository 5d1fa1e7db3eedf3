"""The tables that are partitioned by time."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.pg.partitions import Partitioned, ensure

SPANS = Partitioned("telemetry_span", unique="trace_id, span_id, workspace_id")
LOGS = Partitioned("telemetry_log", unique="digest, workspace_id")
ALL = (SPANS, LOGS)


def ensure_ahead(now: datetime, days: int = 3) -> None:
    """Make the partitions of the next days, so that storing never waits for one."""
    for parent in ALL:
        ensure(parent, [now + timedelta(days=day) for day in range(-1, days)])
