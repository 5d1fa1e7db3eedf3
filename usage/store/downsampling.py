"""5 roll up, second half: coarser grains are computed from finer ones, again whenever a record came late.

Storing lists each 5-minute bucket that it changes in DirtyBucket. A task claims these buckets under the watermark's
exclusive lock. Then, in one transaction, it computes their 5-minute rows from the 15 s rows and the hours around them
from the 5-minute rows, and removes them from the list. It may run twice or late, since it overwrites; the claims of a
task that died are taken over by the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q, QuerySet

from core.pg.locks import AdvisoryLock
from core.pg.partitions import ensure
from usage.catalog.grains import COARSE, FINE, MIDDLE, Grain
from usage.models import DirtyBucket
from usage.store import chunks, partitions, watermark

LOCK = AdvisoryLock(7_310_004)

_SUMS = ", ".join(f"sum(measures[{offset + 1}])" for offset in range(chunks.WIDEST))
# Sums array columns offset by offset; rows of one dimension may be of different lengths.
_DOWNSAMPLE = f"""
INSERT INTO {{to}} (bucket, dimension_id, measures)
SELECT start, dimension_id, (ARRAY[{_SUMS}])[1:max(cardinality(measures))]
FROM unnest(%(starts)s::timestamptz[]) AS s (start)
JOIN {{of}} ON bucket >= start AND bucket < start + %(width)s::interval AND bucket >= %(first)s
    AND bucket < %(last)s + %(width)s::interval
GROUP BY 1, 2
ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = excluded.measures
"""  # noqa: S608 - only names of our own; values are parameters


def to_claim(now: datetime) -> QuerySet[DirtyBucket]:
    """Buckets that changed and are over, and what a task that ended has claimed."""
    return DirtyBucket.objects.filter(Q(claimed=True) | Q(bucket__lte=now - timedelta(seconds=MIDDLE.seconds)))


def claim(before: datetime) -> None:
    """Claim the dirty buckets that ended by `before`. Batches being stored are waited
    for; later ones list their buckets again."""
    with watermark.advance() as cursor:
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed)"
            " SELECT bucket, true FROM usage_dirtybucket WHERE NOT claimed AND bucket <= %s ON CONFLICT DO NOTHING",
            [before - timedelta(seconds=MIDDLE.seconds)],
        )
        cursor.execute(
            "DELETE FROM usage_dirtybucket WHERE NOT claimed AND bucket <= %s",
            [before - timedelta(seconds=MIDDLE.seconds)],
        )


def downsample(now: datetime, at_most: int = 300) -> int:
    """Compute the coarser grains of the buckets that changed and are over; how many 5-minute buckets that were."""
    claim(now)
    ensure_chunk_partitions()
    with transaction.atomic(), connection.cursor() as cursor:
        if not LOCK.try_take(cursor):
            return 0  # another worker is doing it
        cursor.execute(
            "DELETE FROM usage_dirtybucket WHERE id IN"
            " (SELECT id FROM usage_dirtybucket WHERE claimed ORDER BY bucket LIMIT %s) RETURNING bucket",
            [at_most],
        )
        changed = sorted(bucket for (bucket,) in cursor.fetchall())
        cursor.execute("SELECT floor_15s, floor_5m FROM usage_watermark WHERE floor_15s > '-infinity'")
        floors = cursor.fetchone() or (datetime.min.replace(tzinfo=UTC),) * 2
        # Where the finer rows are gone, late records were added to the coarse ones
        # (usage.store.writer), which stay as they are.
        hours = sorted({bucket.replace(minute=0) for bucket in changed})
        minutes = [at for at in changed if at >= floors[0]]
        compute(cursor, FINE, MIDDLE, minutes)
        for at in minutes:
            chunks.write(cursor, at)
        compute(cursor, MIDDLE, COARSE, [at for at in hours if at >= floors[1]])
        for at in hours:
            chunks.write(cursor, at, chunks.HOURS)
    return len(changed)


def ensure_chunk_partitions() -> None:
    """Create the partitions for the claimed buckets' chunks before the transaction,
    because creating one locks the whole table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT date_trunc('day', bucket, 'UTC') FROM usage_dirtybucket WHERE claimed")
        days = [day for (day,) in cursor.fetchall()]
        ensure(partitions.CHUNK_15S, days)
        ensure(partitions.CHUNK_1H, days)


def compute(cursor: CursorWrapper, of: Grain, to: Grain, starts: list[datetime]) -> None:
    """Compute coarse buckets from the finer grain. The overall bounds let Postgres skip the other partitions."""
    if starts:
        cursor.execute(
            _DOWNSAMPLE.format(of=of.table, to=to.table),
            {"starts": starts, "first": starts[0], "last": starts[-1], "width": f"{to.seconds} seconds"},
        )
