"""Old data goes by dropping partitions: raw records, receipts, each grain of the rollups,
gauges, and old generations of event ids."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from core.pg.partitions import drop_before
from usage.catalog.grains import COARSE, FINE, MIDDLE
from usage.store import partitions, watermark

GENERATION_DAYS = 7


def midnight(now: datetime, days: int) -> datetime:
    """The start of the day `days` days ago, UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def drop_old(now: datetime) -> list[str]:
    """Drop what is past its retention; the partitions dropped. Floors move first, so
    that nothing is stored into what goes."""
    config = settings.PORTAL
    floor_15s = midnight(now, config.retention_15s_days)
    floor_5m = midnight(now, max(config.retention_5m_days, config.retention_15s_days))
    floor_1h = midnight(now, max(config.retention_1h_days, config.retention_5m_days)).replace(day=1)
    floor_records = midnight(now, config.retention_records_days)
    with watermark.advance() as cursor:
        cursor.execute(
            "UPDATE usage_watermark SET floor_15s = greatest(floor_15s, %s), floor_5m = greatest(floor_5m, %s),"
            " floor_1h = greatest(floor_1h, %s)",
            [floor_15s, floor_5m, floor_1h],
        )
    return [
        *drop_before(FINE.partition, floor_15s),
        *drop_before(partitions.CHUNK_15S, floor_15s),
        *drop_before(partitions.CHUNK_1H, floor_1h),
        *drop_before(MIDDLE.partition, floor_5m),
        *drop_before(COARSE.partition, floor_1h),
        *drop_before(partitions.GAUGES, floor_5m),
        *drop_before(partitions.RECORDS, floor_records),
        *drop_before(partitions.SPANS_SEEN, floor_records),
        *drop_before(partitions.RECEIPTS, floor_records),
        *drop_generations(),
    ]


def rotate_events(now: datetime) -> bool:
    """Begin a new generation of event ids where the current one is a week old; whether it did."""
    with watermark.advance() as cursor:
        cursor.execute(
            "UPDATE usage_watermark SET generation = generation + 1, generation_at = %s"
            " WHERE generation_at <= %s RETURNING generation",
            [now, now - timedelta(days=GENERATION_DAYS)],
        )
        row = cursor.fetchone()
        if row is None:
            return False
        cursor.execute("SELECT usage_add_generation(%s)", [row[0]])
    return True


def drop_generations() -> list[str]:
    """Drop generations of which every record is older than any that is still taken, so
    that no old id can come again."""
    keep = settings.PORTAL.retention_records_days // GENERATION_DAYS + 2
    with watermark.advance() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, usage_watermark e"
            " WHERE i.inhparent = 'usage_event_seen'::regclass"
            " AND substring(c.relname FROM '[0-9]+$')::integer < e.generation - %s",
            [keep],
        )
        old = [name for (name,) in cursor.fetchall()]
        for name in old:
            cursor.execute(f"DROP TABLE {name}")
    return old


def sizes() -> list[tuple[str, int]]:
    """Each growing table with its size in bytes, partitions together."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.relname, coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint FROM pg_partitioned_table t"
            " JOIN pg_class p ON p.oid = t.partrelid LEFT JOIN pg_inherits i ON i.inhparent = p.oid"
            " WHERE p.relname LIKE 'usage%%' GROUP BY 1 ORDER BY 1"
        )
        return list(cursor.fetchall())
