"""5 roll up: chunks hold the 15 s rows of a finished 5-minute bucket by column, so that reading a
day takes hundreds of rows, not a million.

Reading a row of the rollups takes about 1 µs, however few of its measures are wanted. So downsampling also writes the
measures as entries of 5 or 11 bytes (dimension, bucket, cell, value; zeros are left out). A chunk is one table row: the
entries of one measure, or of all buckets of one histogram, for a block of 256 dimensions. Its `measure` is the offset
of the measure, or of the histogram's first bucket, in a row's array.

The 15 s rows stay authoritative. A row with an empty kind records that a 5-minute bucket has chunks. They are used only
while the bucket is not listed in DirtyBucket. Storing a row and listing its bucket is one transaction, and so is
writing the chunks and removing the bucket from the list; therefore, in any snapshot, the chunks of a bucket that is not
listed hold the same values as its 15 s rows.

Hours have chunks too, each of one hour, written with the hour's rows and by the same rules: tables and tiles of a page
and charts of a month read them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.lib.recfunctions import structured_to_unstructured

from core.net import tracing
from core.pg.binary_copy import YEAR_2000, copied
from promql.values import Floats, Ints
from usage.catalog import KINDS, Kind
from usage.catalog.grains import COARSE, FINE, MIDDLE, Grain


@dataclass(frozen=True)
class Form:
    """Chunks of one kind: their table, the grain whose rows they hold, and the seconds that each of them spans."""

    table: str
    grain: Grain
    span: int


MINUTES = Form("usage_chunk_15s", FINE, MIDDLE.seconds)
HOURS = Form("usage_chunk_1h", COARSE, COARSE.seconds)
# The starts (epoch seconds) of those that may be used, each with its version: another one once it was written again.
Chunked = Mapping[Form, Mapping[int, int]]
BLOCK = 256  # dimensions of a chunk: an entry names its dimension in one byte
_PLACE = [("dimension", "u1"), ("bucket", "u1"), ("cell", "u1")]
# Nearly all counts fit into the short form.
SHORT, LONG = np.dtype([*_PLACE, ("value", "<u2")]), np.dtype([*_PLACE, ("value", "<f8")])
WIDEST = max(kind.width for kind in KINDS.values())

_READ = f"""
SELECT bucket, dimension_id, {", ".join(f"coalesce(measures[{offset + 1}], 0)" for offset in range(WIDEST))}
FROM {{table}} WHERE bucket >= '{{start}}' AND bucket < '{{end}}' ORDER BY dimension_id, bucket
"""  # noqa: S608 - only names of our own; values are parameters
_WRITE = """
INSERT INTO {table} (kind, measure, bucket, block, itemsize, data)
SELECT k, s, %s, b, i, d FROM unnest(%s::text[], %s::smallint[], %s::bigint[], %s::smallint[], %s::bytea[])
    AS t (k, s, b, i, d)
ON CONFLICT (kind, measure, bucket, block) DO UPDATE SET itemsize = excluded.itemsize, data = excluded.data
"""
_USABLE = """
SELECT coalesce(array_agg(ARRAY[extract(epoch FROM p.bucket)::bigint, p.xmin::text::bigint]), '{{}}') FROM {table} p
WHERE p.kind = '' AND p.measure = 0 AND p.bucket >= to_timestamp({start} - {span}) AND p.bucket < to_timestamp({end})
AND NOT EXISTS (SELECT FROM usage_dirtybucket d
    WHERE d.bucket >= p.bucket AND d.bucket < p.bucket + interval '{span} seconds')
"""
_CHANGED = """
SELECT coalesce(array_agg(DISTINCT extract(epoch FROM bucket)::bigint), '{{}}') FROM usage_dirtybucket
WHERE bucket >= to_timestamp({start} - 3600) AND bucket < to_timestamp({end})
"""


class Chunk(NamedTuple):
    """A row of the table, without its bucket."""

    kind: str
    measure: int
    block: int
    itemsize: int
    data: bytes


class Entries(NamedTuple):
    """Values of a measure as columns: the series, the cell (the histogram's bucket, else 0), the 15 s bucket counted
    from the start of what is read, and the value."""

    series: Ints
    cell: Ints
    bucket: Ints
    value: Floats


def form_of(grain: Grain) -> Form:
    """The chunks that hold rows of a grain, or finer ones."""
    return HOURS if grain is COARSE else MINUTES


def usable_query(start: int, end: int) -> str:
    """SQL of a column for each form: starts and versions of the chunks in a span of time (epoch seconds) that may be
    used; and of a column with the starts of the 5-minute buckets that changed. A version is the transaction that wrote
    the row which says that there are chunks."""
    usable = (_USABLE.format(table=form.table, span=form.span, start=start, end=end) for form in (MINUTES, HOURS))
    return ", ".join(f"({query})" for query in (*usable, _CHANGED.format(start=start, end=end)))


def usable_read(minutes: list[tuple[int, int]], hours: list[tuple[int, int]]) -> Chunked:
    """What that query found."""
    return {MINUTES: dict(minutes), HOURS: dict(hours)}


def write(cursor: CursorWrapper, bucket: datetime, form: Form = MINUTES) -> None:
    """Write the chunks of the span that begins at `bucket`, replacing those it has."""
    end = bucket + timedelta(seconds=form.span)
    names = [f"m{offset}" for offset in range(WIDEST)]
    query = _READ.format(table=form.grain.table, start=bucket.isoformat(), end=end.isoformat())
    rows = copied(cursor, query, ["bucket", "dimension"], names)
    owners = np.unique(rows["dimension"]).tolist()
    cursor.execute("SELECT kind, array_agg(id) FROM usage_dimension WHERE id = ANY(%s) GROUP BY kind", [owners])
    places = (rows["bucket"] // 1_000_000 + YEAR_2000 - int(bucket.timestamp())) // form.grain.seconds
    measures = structured_to_unstructured(rows[names])
    found = [Chunk("", 0, 0, 0, b"")]
    for kind, ids in cursor.fetchall():
        own = np.isin(rows["dimension"], ids)
        found += chunks_of(KINDS[kind], rows["dimension"][own], places[own], measures[own])
    kinds, offsets, blocks, sizes, data = map(list, zip(*found, strict=True))
    statement = _WRITE.format(table=form.table)
    with tracing.statement(statement), connection.wrap_database_errors:
        psycopg.Cursor(connection.connection).execute(statement, [bucket, kinds, offsets, blocks, sizes, data])


def chunks_of(kind: Kind, dimensions: Ints, places: Ints, measures: Floats) -> Iterator[Chunk]:
    """The chunks of a kind's rows: `dimensions` ascending, `places` the rows' buckets within the
    5 minutes, `measures` [rows, offsets]."""
    first = first_offsets(kind)
    row, offset = np.nonzero(measures[:, : kind.width])
    block = dimensions[row] // BLOCK
    order = np.lexsort((block, first[offset]))
    row, offset, block = row[order], offset[order], block[order]
    changes = np.flatnonzero((np.diff(first[offset]) != 0) | (np.diff(block) != 0)) + 1
    for part in np.split(np.arange(len(row)), changes) if len(row) else []:
        values = measures[row[part], offset[part]]
        short = bool(((values % 1 == 0) & (values >= 0) & (values < 65_536)).all())
        entries = np.empty(len(part), SHORT if short else LONG)
        entries["dimension"], entries["bucket"] = dimensions[row[part]] % BLOCK, places[row[part]]
        entries["cell"], entries["value"] = offset[part] - first[offset[part]], values
        at = part[0]
        yield Chunk(kind.name, int(first[offset[at]]), int(block[at]), entries.itemsize, entries.tobytes())


def first_offsets(kind: Kind) -> Ints:
    """For each offset of a kind the offset of the chunk that it belongs to."""
    first = np.arange(kind.width)
    for name, histogram in kind.observed.items():
        buckets = kind.offsets[name] + 1
        first[buckets : buckets + len(histogram.buckets) + 1] = buckets
    return first


def read_entries(
    measure: tuple[str, int],
    owners: tuple[Ints, Ints],
    start: int,
    end: int,
    buckets: Collection[int],
    form: Form = MINUTES,
) -> Iterator[Entries]:
    """The entries of the buckets of the form's grain from `start` to before `end` (epoch seconds), from the chunks
    that begin at `buckets`.

    `measure` is its kind and offset; `owners` are dimensions (by ascending id) and the series that each counts for.
    """
    ids, series = owners
    blocks = np.unique(ids // BLOCK)
    series_at = np.full(len(blocks) * BLOCK, -1)
    series_at[np.searchsorted(blocks, ids // BLOCK) * BLOCK + ids % BLOCK] = series
    first = start // form.span * form.span
    query = (
        f"SELECT extract(epoch FROM bucket)::bigint, block, itemsize, data FROM {form.table}"  # noqa: S608 - only names of our own; values are parameters
        f" WHERE kind = '{measure[0]}' AND measure = {measure[1]} AND bucket >= to_timestamp({first})"
        f" AND bucket < to_timestamp({end}) AND block = ANY('{{{','.join(map(str, blocks.tolist()))}}}'::bigint[])"
    )
    with tracing.statement(query), connection.wrap_database_errors:
        # Django's own cursors know no binary results: the data would come as hexadecimal text.
        found = psycopg.Cursor(connection.connection).execute(query, binary=True).fetchall()
    rows = [row for row in found if row[0] in buckets]
    for layout in (SHORT, LONG):
        alike = [row for row in rows if row[2] == layout.itemsize]
        if not alike:
            continue
        entries = np.frombuffer(b"".join(row[3] for row in alike), layout)
        counts = [len(row[3]) // layout.itemsize for row in alike]
        firsts = np.searchsorted(blocks, [row[1] for row in alike]) * BLOCK
        places = (np.array([row[0] for row in alike]) - start) // form.grain.seconds
        series = series_at[np.repeat(firsts, counts) + entries["dimension"]]
        bucket = np.repeat(places, counts) + entries["bucket"]
        wanted = (series >= 0) & (bucket >= 0) & (bucket < (end - start) // form.grain.seconds)
        if not wanted.all():
            series, bucket, entries = series[wanted], bucket[wanted], entries[wanted]
        yield Entries(series, entries["cell"].astype(np.int64), bucket, entries["value"].astype(np.float64))
