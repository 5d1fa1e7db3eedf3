"""Records that were accepted and are not stored: they count as usage events that failed, in the
buckets of their own times, until they are.

What is counted is remembered per batch (`usage.models.MissingUsage`), so that it is counted once, and taken
back to the last event. The totals are not taken back, as exported counters never go back: there, such an
event has failed once and succeeded once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.pg.partitions import ensure
from usage.catalog.grains import COARSE, FINE, GRAINS, MIDDLE
from usage.models import MissingUsage
from usage.records.columns import Columns, DimensionKey
from usage.store import dimensions, watermark

PERSIST_KEYS: tuple[DimensionKey, ...] = (
    *(("persist", outcome, "") for outcome in ("success", "error")),
    *(("persist", "", error) for error in ("db_error", "timeout", "validation")),
)
NOT_STORED: DimensionKey = ("persist", "", "db_error")


# So many usage events that failed of each dimension in each bucket of 15 s (Unix seconds).
Events = Mapping[tuple[DimensionKey, int], int]


class Count(NamedTuple):
    """So many events of a dimension (id) in a 15 s bucket (Unix seconds)."""

    bucket: int
    dimension: int
    number: float


def failures_of(columns: Columns) -> Events:
    """The usage events among the rows as ones that failed."""
    found: dict[tuple[DimensionKey, int], int] = {}
    for place, at in zip(columns.key_of.tolist(), columns.at.tolist(), strict=True):
        key = columns.keys[place]
        if key[0] == "llm_call" and key[-1]:
            failed = (*key[:6], "", "", "", "failure"), int(FINE.start(at))
            found[failed] = found.get(failed, 0) + 1
    return found


def count(receipt: uuid.UUID, events: Events, now: float, lost: bool) -> bool:
    """Count a batch's events as missing, unless they are already; `lost` counts a failure
    to persist too. Raises DatabaseError."""
    bucket = int(FINE.start(now))
    first = {NOT_STORED: float(bucket)}
    for key, at in events:
        first[key] = min(first.get(key, at), at)
    interned = dimensions.intern(first)
    counts = sorted(Count(at, interned[key].id, number) for (key, at), number in events.items())
    _make_partitions(one.bucket for one in (*counts, Count(bucket, 0, 0)))
    rows = [MissingUsage(receipt=receipt, dimension_id=d, bucket=_time(b), number=n) for b, d, n in counts]
    with transaction.atomic(), connection.cursor() as cursor:
        # A row without a dimension marks the batch as counted. Of two processes that count it, one waits for the other.
        cursor.execute(
            "INSERT INTO usage_missingusage (receipt, dimension_id, bucket, number) VALUES (%s, 0, %s, 0) "
            "ON CONFLICT DO NOTHING",
            [receipt, _time(bucket)],
        )
        if not cursor.rowcount:
            return False
        MissingUsage.objects.bulk_create(rows)
        failed = [Count(bucket, interned[NOT_STORED].id, 1)] if lost else []
        _add(cursor, sorted([*counts, *failed]), with_totals=True)
        cursor.execute(
            "UPDATE usage_dimension d SET first_at = least(d.first_at, t.at)"
            " FROM unnest(%s::bigint[], %s::timestamptz[]) AS t (id, at)"
            " WHERE d.id = t.id AND d.first_at > t.at",
            [[interned[key].id for key in first], [_time(int(at)) for at in first.values()]],
        )
    return True


def uncounted(receipts: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Those of the batches that do not count as missing yet, in their order. Raises DatabaseError."""
    wanted = [*receipts]
    if not wanted:
        return []
    counted = set(MissingUsage.objects.filter(receipt__in=wanted, dimension_id=0).values_list("receipt", flat=True))
    return [receipt for receipt in wanted if receipt not in counted]


def take_back(receipt: uuid.UUID) -> None:
    """The batch is stored: its events are no longer missing. Raises DatabaseError."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM usage_missingusage WHERE receipt = %s"
            " RETURNING extract(epoch FROM bucket)::bigint, dimension_id, -number",
            [receipt],
        )
        counts = sorted(Count(*row) for row in cursor.fetchall() if row[1])
        if counts:
            _add(cursor, counts, with_totals=False)


def start_persist_series(now: datetime) -> None:
    """Let every series about storing begin at 0, so that the first failure is an increase."""
    interned = dimensions.intern(dict.fromkeys(PERSIST_KEYS, FINE.start(now.timestamp())))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_total (dimension_id, measures) SELECT d, ARRAY[0::float8]"
            " FROM unnest(%s::bigint[]) AS t (d) ON CONFLICT DO NOTHING",
            [sorted(one.id for one in interned.values())],
        )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _make_partitions(buckets: Iterable[int]) -> None:
    stamps = [_time(day * 86_400) for day in {bucket // 86_400 for bucket in buckets}]
    for grain in GRAINS:
        ensure(grain.partition, stamps)


def _add(cursor: CursorWrapper, counts: Sequence[Count], *, with_totals: bool) -> None:
    """Add counts to the grain of each one's age; the count is the first measure of every kind."""
    watermark.LOCK.take(cursor, shared=True)
    cursor.execute(watermark.READ)
    state = watermark.Watermark(*cursor.fetchone())
    for grain, floor, ceiling in state.ages():
        sums: dict[tuple[int, int], float] = {}
        for bucket, dimension, number in counts:
            if floor <= bucket < ceiling:
                place = grain.start(bucket), dimension
                sums[place] = sums.get(place, 0) + number
        places = sorted(sums)
        cursor.execute(
            f"INSERT INTO {grain.table} AS r (bucket, dimension_id, measures)"  # noqa: S608 a table of ours
            " SELECT to_timestamp(b), d, ARRAY[n] FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) AS t (b, d, n)"
            " ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures)",
            [[b for b, _ in places], [d for _, d in places], [sums[place] for place in places]],
        )
        if grain is not COARSE and places:
            cursor.execute(
                "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT to_timestamp(b), false"
                " FROM unnest(%s::bigint[]) AS t (b)"
                " ON CONFLICT DO NOTHING",
                [sorted({MIDDLE.start(b) for b, _ in places})],
            )
    if with_totals:
        totals: dict[int, float] = {}
        for _, dimension, number in counts:
            totals[dimension] = totals.get(dimension, 0) + number
        cursor.execute(
            "INSERT INTO usage_total AS r (dimension_id, measures)"
            " SELECT d, ARRAY[n] FROM unnest(%s::bigint[], %s::float8[]) AS t (d, n) ORDER BY d"
            " ON CONFLICT (dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures)",
            [sorted(totals), [totals[dimension] for dimension in sorted(totals)]],
        )
