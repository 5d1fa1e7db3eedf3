"""6 series: the measures of label sets over a stretch of time, read from chunks where there are any, else from the rows
of the grain that answers. What is read is entries: the series, the cell, the column of time, and the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.db.backends.utils import CursorWrapper

from core.pg.binary_copy import YEAR_2000, copied_pieces
from core.pg.partitions import Partitioned
from promql.values import Bools, Floats, Ints
from usage.catalog import KINDS
from usage.catalog.grains import COARSE, FINE, MIDDLE, Grain
from usage.series.grid import BEYOND, SCRAPE, Segment, after, knots, segments, without
from usage.series.index import Group, Sizes, sizes_query, sizes_read
from usage.store import chunks, watermark
from usage.store.watermark import Watermark

TOTALS = Grain(1, Partitioned("usage_total"))  # one bucket for all time
MANY, FEW = 64, 4  # of the 256 label sets of a block


class Entries(NamedTuple):
    """Values as columns: `column` is the place of the knot at which they are counted; one past the last is for
    what came later, the next one for totals."""

    series: Ints
    cell: Ints
    column: Ints
    value: Floats

    def only(self, which: Bools) -> Entries:
        """Some of them."""
        return Entries(self.series[which], self.cell[which], self.column[which], self.value[which])


@dataclass(frozen=True)
class Counters:
    """What is to be read of a group: one offset, or the offsets of a histogram's buckets.
    `among` is how many dimensions there are."""

    kind: str
    group: Group
    offset: int
    width: int
    among: int

    @property
    def owners(self) -> str:
        """The condition on dimensions. Where they are most of all dimensions, all are read and the others are skipped:
        planning and checking a long list takes Postgres longer."""
        return "true" if 2 * len(self.group.ids) >= self.among else f"dimension_id = ANY({self.group.listed})"

    def read_from(self, number: int, stretch: Stretch) -> str:
        """SQL of a stretch's rows: the stretch's number, the bucket, the dimension, the
        cells. What goes into one column is summed."""
        part, summed = stretch.part, stretch.columns == 1
        when = (
            "true"
            if part.grain is TOTALS
            else f"bucket >= to_timestamp({part.start}) AND bucket < to_timestamp({part.end})"
        )
        cells = [f"measures[{self.offset + cell + 1}]" for cell in range(self.width)]
        shown = ", ".join(f"coalesce({f'sum({cell})' if summed else cell}, 0)" for cell in cells)
        bucket = f"to_timestamp({part.start})" if summed else "bucket"
        return (
            f"SELECT {number}::bigint, {bucket}, dimension_id, {shown}"  # noqa: S608 - only names of our own; values are parameters
            f" FROM {part.grain.table} WHERE {when} AND {self.owners}"
            f"{' GROUP BY dimension_id' if summed else ''}"
        )


@dataclass(frozen=True)
class Stretch:
    """A stretch of time and where its sums go: each bucket into a column of its own,
    those past the last into the last."""

    part: Segment
    column: int
    columns: int

    def columns_of(self, buckets: Ints) -> Ints:
        """The columns of buckets, counted from the start."""
        return self.column + np.minimum(buckets, self.columns - 1)

    def only(self, part: Segment) -> Stretch:
        """The same for a part of the stretch."""
        skipped = min((part.start - self.part.start) // part.width, self.columns - 1)
        return Stretch(part, self.column + skipped, self.columns - skipped)

    def pieces(self) -> list[Stretch]:
        """The stretch in parts that may be read at once."""
        return [self.only(piece) for piece in self.part.pieces()]

    def ends(self, first: int, last: int) -> list[Stretch]:
        """The stretch with all that lies between two times (epoch seconds) in one
        column, by which it is known at the second."""
        part, width = self.part, self.part.width
        low = part.start + max(0, -(-(first - part.start) // width)) * width
        high = part.start + (min(last, part.end) - part.start) // width * width
        if high - low <= width:
            return [self]
        between = self.only(Segment(part.grain, low, high))
        summed = Stretch(between.part, between.column + between.part.buckets - 1, 1)
        around = [Segment(part.grain, part.start, low), Segment(part.grain, high, part.end)]
        return [summed, *(self.only(one) for one in around if one.end > one.start)]

    def is_chunked(self, group: Group) -> bool:
        """Whether chunks are to be read where there are any. In a 5-minute bucket they have twenty times as many values
        as its rows, of all label sets that are near: they cost less only where many of these are wanted."""
        if self.part.grain is TOTALS:
            return False
        fewest = {FINE: 0, MIDDLE: MANY, COARSE: FEW}[self.part.grain] * len(np.unique(group.ids // chunks.BLOCK))
        return len(group.ids) >= fewest

    def without_chunks(self, chunked: chunks.Chunked) -> list[Stretch]:
        """The parts to read from rows, given the chunks that there are."""
        form = chunks.form_of(self.part.grain)
        return [self.only(part) for part in without(self.part, chunked[form], form.span)]


@dataclass(frozen=True)
class Tables:
    """The state of the tables in a snapshot: the watermark, the chunks that may be used, the 5-minute buckets (by
    their starts) that changed and have not been downsampled since, and the number of dimensions by kind."""

    watermark: Watermark
    chunked: chunks.Chunked
    changed: Sequence[int]
    sizes: Sizes

    @property
    def dimensions(self) -> int:
        """How many there are of all kinds."""
        return sum(count for count, _ in self.sizes.values())


def read_tables(cursor: CursorWrapper, start: int, now: int) -> Tables:
    """The state of the tables, for what lies after `start` (epoch seconds)."""
    usable = chunks.usable_query(start, now + BEYOND)
    cursor.execute(f"SELECT s.*, {usable}, ({sizes_query(KINDS)}) FROM ({watermark.READ}) AS s")  # noqa: S608 - only names of our own; values are parameters
    *state, minutes, hours, changed, sizes = cursor.fetchone()
    return Tables(Watermark(*state), chunks.usable_read(minutes, hours), changed, sizes_read(sizes))


class Reading:
    """Where each stretch of a range is read, and the knots between which counters grow."""

    def __init__(self, cursor: CursorWrapper, stretches: list[Stretch], at: Ints, chunked: chunks.Chunked) -> None:
        self.cursor, self.knots = cursor, at
        self._stretches, self._chunked = stretches, chunked

    @classmethod
    def of(
        cls,
        cursor: CursorWrapper,
        times: Ints,
        step: int,
        now: int,
        window: float,
        mark: Watermark,
        chunked: chunks.Chunked,
        based: bool,
        ends: bool,
        long: bool | None = None,
    ) -> Reading:
        """For counters on a grid of times (epoch seconds, `step` apart), that functions over `window` seconds look at.

        `based`: where they stood before is wanted too; `ends`: only their first and last values are; `long`: whether
        they are part of a long span (None: if they are one).
        """
        start, end = int(times[0]) - step, int(times[-1])
        parts = segments(start, max(end, start + SCRAPE), now, window, mark, long=long)
        at = knots(parts)
        stretches: list[Stretch] = []
        column = 1
        for part in parts:
            stretch = Stretch(part, column, part.buckets)
            stretches += stretch.ends(int(times[1]), int(times[-1])) if ends and len(times) > 2 else [stretch]
            column += part.buckets
        if based:
            stretches += [Stretch(part, column, 1) for part in after(int(at[-1]), now, mark)]
            stretches.append(Stretch(Segment(TOTALS, 0, 1), column + 1, 1))
        return cls(cursor, stretches, at, chunked)

    def entries(self, counters: Counters) -> Iterator[Entries]:
        """All that there is of the counters, some at a time, in no order."""
        if len(counters.group.ids):
            yield from self._of_chunks(counters)
            yield from self._of_rows(counters)

    def _of_chunks(self, counters: Counters) -> Iterator[Entries]:
        """A bucket is the sum of what its chunks hold."""
        measure, owners = (counters.kind, counters.offset), (counters.group.ids, counters.group.series)
        for stretch in self._stretches:
            for piece in stretch.pieces() if stretch.is_chunked(counters.group) else ():
                part, form = piece.part, chunks.form_of(piece.part.grain)
                if sum(one.buckets for one in without(part, self._chunked[form], form.span)) == part.buckets:
                    continue
                end = part.start + part.buckets * part.width
                for found in chunks.read_entries(measure, owners, part.start, end, self._chunked[form], form):
                    columns = piece.columns_of(found.bucket * form.grain.seconds // part.width)
                    yield Entries(found.series, found.cell, columns, found.value)

    def _of_rows(self, counters: Counters) -> Iterator[Entries]:
        """The rows of buckets without chunks, by one query over all grains."""
        group, stretches = counters.group, []
        for stretch in self._stretches:
            stretches += stretch.without_chunks(self._chunked) if stretch.is_chunked(group) else [stretch]
        if not stretches:
            return
        query = " UNION ALL ".join(counters.read_from(number, one) for number, one in enumerate(stretches))
        places = [(one.part.start, one.part.width, one.column, one.columns) for one in stretches]
        starts, widths, columns, counts = np.array(places, dtype=np.int64).T
        names = [f"m{cell}" for cell in range(counters.width)]
        for rows in copied_pieces(self.cursor, query, ["part", "bucket", "dimension"], names):
            owner = np.minimum(np.searchsorted(group.ids, rows["dimension"]), len(group.ids) - 1)
            own = group.ids[owner] == rows["dimension"]
            if not own.all():
                rows, owner = rows[own], owner[own]
            part, series = rows["part"], group.series[owner]
            bucket = (rows["bucket"] // 1_000_000 + YEAR_2000 - starts[part]) // widths[part]
            column = columns[part] + np.minimum(bucket, counts[part] - 1)
            for cell, name in enumerate(names):
                filled = np.flatnonzero(rows[name])
                yield Entries(series[filled], np.full(len(filled), cell), column[filled], rows[name][filled])
