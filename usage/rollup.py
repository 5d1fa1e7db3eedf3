"""5 roll up, second half: coarser grains are computed from finer ones, again whenever a record came late.

Storing marks each 5-minute bucket that it touched. A task claims the marks by a turn of the epoch, computes those buckets' rows from
the 15 s ones, then the hours they lie in from the 5-minute ones, and takes the marks away, all in one transaction. It may run twice
or late: it overwrites, and a claim whose task died is taken up by the next one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from usage import epoch, packed, partitions

LOCK = 7_310_004

# Sums array columns slot by slot; rows of one dimension may be of different lengths.
_COARSEN = f"""
INSERT INTO {{to}} (bucket, dimension_id, measures)
SELECT start, dimension_id, (ARRAY[{", ".join(f"sum(measures[{slot + 1}])" for slot in range(packed.WIDEST))}])[1:max(cardinality(measures))]
FROM unnest(%(starts)s::timestamptz[]) AS s (start)
JOIN {{of}} ON bucket >= start AND bucket < start + %(width)s::interval AND bucket >= %(first)s AND bucket < %(last)s + %(width)s::interval
GROUP BY 1, 2
ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = excluded.measures
"""


def claim(before: datetime) -> None:
    """Claim the marks of buckets that ended by `before`. Storing that began earlier has ended; later storing marks them anew."""
    with epoch.turn() as cursor:
        cursor.execute(
            "INSERT INTO usage_dirtybucket (bucket, claimed)"
            " SELECT bucket, true FROM usage_dirtybucket WHERE NOT claimed AND bucket <= %s ON CONFLICT DO NOTHING",
            [before - timedelta(minutes=5)],
        )
        cursor.execute(
            "DELETE FROM usage_dirtybucket WHERE NOT claimed AND bucket <= %s", [before - timedelta(minutes=5)]
        )


def coarsen(now: datetime, at_most: int = 300) -> int:
    """Compute the coarser grains of the buckets that changed and are over; how many 5-minute buckets that were."""
    claim(now)
    ensure_packed()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0  # another worker is at it
        cursor.execute(
            "DELETE FROM usage_dirtybucket WHERE id IN"
            " (SELECT id FROM usage_dirtybucket WHERE claimed ORDER BY bucket LIMIT %s) RETURNING bucket",
            [at_most],
        )
        changed = sorted(bucket for (bucket,) in cursor.fetchall())
        cursor.execute("SELECT floor_15s, floor_5m FROM usage_epoch WHERE floor_15s > '-infinity'")
        floors = cursor.fetchone() or (datetime.min.replace(tzinfo=UTC),) * 2
        # Where the finer rows are gone, late records were added to the coarse ones (usage.store), which stay as they are.
        hours = sorted({bucket.replace(minute=0) for bucket in changed})
        minutes = [at for at in changed if at >= floors[0]]
        compute(cursor, "usage_rollup_15s", "usage_rollup_5m", minutes, "5 minutes")
        for at in minutes:
            packed.pack(cursor, at)
        compute(cursor, "usage_rollup_5m", "usage_rollup_1h", [at for at in hours if at >= floors[1]], "1 hour")
    return len(changed)


def ensure_packed() -> None:
    """Make the partitions that the claimed buckets are packed into, before the transaction: to make one locks the whole table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT date_trunc('day', bucket, 'UTC') FROM usage_dirtybucket WHERE claimed")
        partitions.ensure(partitions.PACKED_15S, [day for (day,) in cursor.fetchall()])


def compute(cursor: CursorWrapper, of: str, to: str, starts: list[datetime], width: str) -> None:
    """Write coarse buckets anew from the finer grain. The bounds of all of them let Postgres pass over other partitions."""
    if starts:
        cursor.execute(
            _COARSEN.format(of=of, to=to), {"starts": starts, "first": starts[0], "last": starts[-1], "width": width}
        )
