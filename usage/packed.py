"""5 roll up: the 15 s rows of a 5-minute bucket that is over, packed, so that a day of a measure is hundreds of rows and not a million.

A row of the rollups takes about 1 µs to read, however little of it is wanted. So coarsening also writes what the rows hold as entries of
5 or 11 bytes (dimension, bucket, cell, value; none for a 0), those of a measure and 256 dimensions in one row: as `slot` the measure's
own, or for a histogram's buckets the first of theirs.

The 15 s rows stay the truth. A row of no kind says that a 5-minute bucket is packed. While there is a mark (DirtyBucket) as well, it is
to be read from its rows: what stores a row also marks its bucket, and what takes the mark away has packed it, in one transaction each,
so that in any snapshot the packed rows of a bucket without a mark say what its 15 s rows say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.lib.recfunctions import structured_to_unstructured

from usage.catalog import KINDS, Kind
from usage.copying import YEAR_2000, copied
from usage.measures import Floats, Ints

TABLE = "usage_packed_15s"
GRAIN, SPAN = 15, 300  # seconds of a bucket, and of what is packed together
BLOCK = 256  # dimensions by id, so that a byte says which
_PLACE = [("dimension", "u1"), ("bucket", "u1"), ("cell", "u1")]
# Nearly all counts fit the short one.
SHORT, LONG = np.dtype([*_PLACE, ("value", "<u2")]), np.dtype([*_PLACE, ("value", "<f8")])
WIDEST = max(kind.width for kind in KINDS.values())

_READ = f"""
SELECT bucket, dimension_id, {", ".join(f"coalesce(measures[{slot + 1}], 0)" for slot in range(WIDEST))}
FROM usage_rollup_15s WHERE bucket >= '{{start}}' AND bucket < '{{end}}' ORDER BY dimension_id, bucket
"""
_WRITE = f"""
INSERT INTO {TABLE} (kind, slot, bucket, block, itemsize, data)
SELECT k, s, %s, b, i, d FROM unnest(%s::text[], %s::smallint[], %s::bigint[], %s::smallint[], %s::bytea[]) AS t (k, s, b, i, d)
ON CONFLICT (kind, slot, bucket, block) DO UPDATE SET itemsize = excluded.itemsize, data = excluded.data
"""
# The 5-minute buckets (epoch seconds) that are to be read from here, of a span of time.
BUCKETS = f"""
SELECT coalesce(array_agg(extract(epoch FROM p.bucket)::bigint), '{{{{}}}}') FROM {TABLE} p
WHERE p.kind = '' AND p.slot = 0 AND p.bucket >= to_timestamp({{start}} - {SPAN}) AND p.bucket < to_timestamp({{end}})
AND NOT EXISTS (SELECT FROM usage_dirtybucket d WHERE d.bucket = p.bucket)
"""


class Packed(NamedTuple):
    """A row of the table, but for its bucket."""

    kind: str
    slot: int
    block: int
    itemsize: int
    data: bytes


class Entries(NamedTuple):
    """What is held of a measure: a value for a series, a cell (0, or which of the histogram's buckets) and a 15 s bucket, counted from
    the start of what is read."""

    series: Ints
    cell: Ints
    bucket: Ints
    value: Floats


def pack(cursor: CursorWrapper, bucket: datetime) -> None:
    """Pack a 5-minute bucket anew."""
    end = bucket + timedelta(seconds=SPAN)
    names = [f"m{slot}" for slot in range(WIDEST)]
    rows = copied(cursor, _READ.format(start=bucket.isoformat(), end=end.isoformat()), ["bucket", "dimension"], names)
    owners = np.unique(rows["dimension"]).tolist()
    cursor.execute("SELECT kind, array_agg(id) FROM usage_dimension WHERE id = ANY(%s) GROUP BY kind", [owners])
    places = (rows["bucket"] // 1_000_000 + YEAR_2000 - int(bucket.timestamp())) // GRAIN
    measures = structured_to_unstructured(rows[names])
    packed = [Packed("", 0, 0, 0, b"")]
    for kind, ids in cursor.fetchall():
        own = np.isin(rows["dimension"], ids)
        packed += packed_rows(KINDS[kind], rows["dimension"][own], places[own], measures[own])
    kinds, slots, blocks, sizes, data = map(list, zip(*packed, strict=True))
    with connection.wrap_database_errors:
        psycopg.Cursor(connection.connection).execute(_WRITE, [bucket, kinds, slots, blocks, sizes, data])


def packed_rows(kind: Kind, dimensions: Ints, places: Ints, measures: Floats) -> Iterator[Packed]:
    """The entries of a kind's rows: ascending dimensions, places of their buckets in the 5 minutes, measures [rows, slots]."""
    first = first_slots(kind)
    row, slot = np.nonzero(measures[:, : kind.width])
    block = dimensions[row] // BLOCK
    order = np.lexsort((block, first[slot]))
    row, slot, block = row[order], slot[order], block[order]
    changes = np.flatnonzero((np.diff(first[slot]) != 0) | (np.diff(block) != 0)) + 1
    for part in np.split(np.arange(len(row)), changes) if len(row) else []:
        values = measures[row[part], slot[part]]
        short = bool(((values % 1 == 0) & (values >= 0) & (values < 65_536)).all())
        entries = np.empty(len(part), SHORT if short else LONG)
        entries["dimension"], entries["bucket"] = dimensions[row[part]] % BLOCK, places[row[part]]
        entries["cell"], entries["value"] = slot[part] - first[slot[part]], values
        at = part[0]
        yield Packed(kind.name, int(first[slot[at]]), int(block[at]), entries.itemsize, entries.tobytes())


def first_slots(kind: Kind) -> Ints:
    """For each slot of a kind the slot under which it is packed."""
    first = np.arange(kind.width)
    for name, histogram in kind.observed.items():
        buckets = kind.slots[name] + 1
        first[buckets : buckets + len(histogram.buckets) + 1] = buckets
    return first


def read(
    measure: tuple[str, int],
    owners: tuple[Ints, Ints],
    start: int,
    end: int,
    buckets: Collection[int],
) -> Iterator[Entries]:
    """The entries of the 15 s buckets from `start` to before `end` (epoch seconds), of these packed 5-minute buckets.

    `measure` is its kind and slot; `owners` are dimensions (by ascending id) and the series that each counts for.
    """
    ids, series = owners
    blocks = np.unique(ids // BLOCK)
    series_at = np.full(len(blocks) * BLOCK, -1)
    series_at[np.searchsorted(blocks, ids // BLOCK) * BLOCK + ids % BLOCK] = series
    query = (
        f"SELECT extract(epoch FROM bucket)::bigint, block, itemsize, data FROM {TABLE}"
        f" WHERE kind = '{measure[0]}' AND slot = {measure[1]} AND bucket >= to_timestamp({start // SPAN * SPAN})"
        f" AND bucket < to_timestamp({end}) AND block = ANY('{{{','.join(map(str, blocks.tolist()))}}}'::bigint[])"
    )
    with connection.wrap_database_errors:
        # Django's own cursors know no binary results: the data would come as hexadecimal text.
        found = psycopg.Cursor(connection.connection).execute(query, binary=True).fetchall()
    rows = [row for row in found if row[0] in buckets]
    for form in (SHORT, LONG):
        of_form = [row for row in rows if row[2] == form.itemsize]
        if not of_form:
            continue
        entries = np.frombuffer(b"".join(row[3] for row in of_form), form)
        counts = [len(row[3]) // form.itemsize for row in of_form]
        firsts = np.searchsorted(blocks, [row[1] for row in of_form]) * BLOCK
        places = (np.array([row[0] for row in of_form]) - start) // GRAIN
        series = series_at[np.repeat(firsts, counts) + entries["dimension"]]
        bucket = np.repeat(places, counts) + entries["bucket"]
        wanted = (series >= 0) & (bucket >= 0) & (bucket < (end - start) // GRAIN)
        if not wanted.all():
            series, bucket, entries = series[wanted], bucket[wanted], entries[wanted]
        yield Entries(series, entries["cell"].astype(np.int64), bucket, entries["value"].astype(np.float64))
