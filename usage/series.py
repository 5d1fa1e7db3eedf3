"""6 series: what the catalog's families were, as a server would have scraped them every 15 s. A promql source over the rollups.

Counters and histograms are dense on one grid of times: series of a family are one matrix. A counter begins with a 0, one scrape
before its first record, so that its first increments count; afterwards it never ends. Gauges hold their last value for a while.
A source that is made for some workspaces sees nothing of others, whatever the expression.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import IsolationLevel

from promql import Block, Hints, LabelSets, LimitError, Matcher, derive
from usage import epoch, packed
from usage.catalog import BY_SERIES, FAMILIES, KINDS, Family, bound, series_names
from usage.copying import YEAR_2000, copied, copied_pieces
from usage.directory import Directory, Group, Sizes, directory, sizes_query, sizes_read
from usage.grid import BEYOND, Segment, after, grid_step, grid_times, knots, on_grid, segments, without
from usage.measures import Bools, Floats, Ints

MAX_CELLS = 60_000_000
TOTALS = "usage_total"
# Functions that look at differences only: where the counter stood before the range does not matter to them. To rate and increase it
# does: they do not extrapolate a counter to before it was 0.
DIFFERENCES = frozenset({"irate", "idelta", "delta", "deriv", "changes", "resets"})
# At one time these depend on a counter's first and last sample only, as ours are never reset.
BY_ENDS = frozenset({"rate", "increase"})


class PostgresSource:
    """Series of the catalog. `workspaces` None: all; `now` in epoch seconds: nothing is later (default: the clock at each select)."""

    def __init__(self, workspaces: Collection[str] | None = None, now: float | None = None) -> None:
        self._workspaces = None if workspaces is None else frozenset(workspaces)
        self._now = now

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, on the grid that suits the hints, within [start_ms, end_ms]. Raises promql.LimitError."""
        with self.snapshot() as state:
            return state.select(matchers, start_ms, end_ms, hints)

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """The labels of the series that match and began by `end_ms`, without reading a sample."""
        with self.snapshot() as state:
            return state.series(matchers, end_ms)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One state of the tables: a record is in totals and rollups or in neither, and so for all selectors of a query."""
        with repeatable_read(), transaction.atomic(), connection.cursor() as cursor:
            yield Snapshot(cursor, self._workspaces, self._now)


@contextmanager
def repeatable_read() -> Iterator[None]:
    """Let a transaction that begins in here see one state throughout; one that is under way stays as it is. Costs no round trip."""
    if connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()
    session = connection.connection
    session.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        yield
    finally:
        if not session.closed:
            session.isolation_level = None


class Snapshot:
    """The series in one state of the tables."""

    def __init__(self, cursor: CursorWrapper, workspaces: frozenset[str] | None, now: float | None) -> None:
        self._cursor, self._workspaces, self._now = cursor, workspaces, now
        self._tables: dict[int, Tables] = {}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """See PostgresSource."""
        now = int(self._now if self._now is not None else time.time())
        named, others = split_name(matchers)
        names = {name for name in BY_SERIES if all(one.matches(name) for one in named)}
        window = (hints.range_ms or min(hints.step_ms, 1_200_000)) / 1000
        start, end = -(-start_ms // 1000), min(end_ms // 1000, now)
        step = grid_step(window, end - start)
        times = grid_times(start, end, step)
        if not len(times) or not names:
            return []
        families = [family for family in FAMILIES if not names.isdisjoint(series_names(family))]
        tables = self._read_tables(int(times[0]) - step, now)
        based, ends = hints.func not in DIFFERENCES, hints.func in BY_ENDS and not hints.step_ms
        reader = Reader(self._cursor, tables, times, step, now, window, based, ends)
        blocks: list[Block] = []
        for family in families:
            wanted = [name for name in series_names(family) if name in names]
            blocks += reader.blocks(family, wanted, others, self._workspaces)
        return blocks

    def _read_tables(self, start: int, now: int) -> Tables:
        if start not in self._tables:
            buckets = packed.BUCKETS.format(start=start, end=now + BEYOND)
            self._cursor.execute(f"SELECT s.*, ({buckets}), ({sizes_query(KINDS)}) FROM ({epoch.READ}) AS s")
            *state, packed_buckets, sizes = self._cursor.fetchone()
            self._tables[start] = Tables(epoch.State(*state), frozenset(packed_buckets), sizes_read(sizes))
        return self._tables[start]

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """See PostgresSource."""
        end = np.iinfo(np.int64).max if end_ms is None else end_ms // 1000
        found: list[dict[str, str]] = []
        named, others = split_name(matchers)
        self._cursor.execute(sizes_query(KINDS))
        sizes = sizes_read(self._cursor.fetchone()[0])
        for family in FAMILIES:
            names = [name for name in series_names(family) if all(one.matches(name) for one in named)]
            values = family.split[1] if family.split else ("",)
            for value in values if names else ():
                known = directory(self._cursor, family.kind, sizes)
                group = known.family(family, value).group(tuple(others), self._workspaces)
                first_at = known.begun(self._cursor, group, end)
                begun = [labels for labels, first in zip(group.labels, first_at, strict=True) if first <= end]
                for name in names:
                    found += expanded(family, name, begun, others)
        return found


@dataclass(frozen=True)
class Tables:
    """What is to be known of the tables before they are read: the epoch, the 5-minute buckets that are packed, how many dimensions."""

    state: epoch.State
    packed: frozenset[int]
    sizes: Sizes


def split_name(matchers: Sequence[Matcher]) -> tuple[list[Matcher], list[Matcher]]:
    """The matchers of the metric's name, and the others."""
    named = [one for one in matchers if one.name == "__name__"]
    return named, [one for one in matchers if one.name != "__name__"]


def chosen_bounds(family: Family, matchers: Sequence[Matcher]) -> list[int]:
    """The places of the histogram's bounds (+Inf last) that the matchers of `le` leave."""
    of_le = [one for one in matchers if one.name == "le"]
    bounds = [*family.buckets, np.inf]
    return [place for place, le in enumerate(bounds) if all(one.matches(bound(le)) for one in of_le)]


def expanded(
    family: Family, name: str, shown: list[dict[str, str]], matchers: Sequence[Matcher]
) -> list[dict[str, str]]:
    """The labels of the series of one name: with the metric's name, and for buckets with each `le`."""
    if not name.endswith("_bucket") or family.type != "histogram":
        return [{"__name__": name, **labels} for labels in shown]
    bounds = [*family.buckets, np.inf]
    places = chosen_bounds(family, matchers)
    return [{"__name__": name, **labels, "le": bound(bounds[place])} for labels in shown for place in places]


@dataclass(frozen=True)
class Counters:
    """What is to be read of a group: a slot, or the slots of a histogram's buckets. `among` is how many dimensions there are."""

    kind: str
    group: Group
    slot: int
    width: int
    among: int

    @property
    def owners(self) -> str:
        """The condition on dimensions. Where they are most of all, all are read and the others passed over: to plan and check a long list takes Postgres longer."""
        return "true" if 2 * len(self.group.ids) >= self.among else f"dimension_id = ANY({self.group.listed})"

    def read_from(self, number: int, stretch: Stretch) -> str:
        """SQL of a stretch's rows: the stretch's number, the bucket, the dimension, the cells. What goes into one column is summed."""
        part, summed = stretch.part, stretch.columns == 1
        when = (
            "true"
            if part.table == TOTALS
            else f"bucket >= to_timestamp({part.start}) AND bucket < to_timestamp({part.end})"
        )
        cells = [f"measures[{self.slot + cell + 1}]" for cell in range(self.width)]
        shown = ", ".join(f"coalesce({f'sum({cell})' if summed else cell}, 0)" for cell in cells)
        bucket = f"to_timestamp({part.start})" if summed else "bucket"
        return (
            f"SELECT {number}::bigint, {bucket}, dimension_id, {shown}"
            f" FROM {part.table} WHERE {when} AND {self.owners}"
            f"{' GROUP BY dimension_id' if summed else ''}"
        )


@dataclass(frozen=True)
class Stretch:
    """A stretch of time and where its sums go: each bucket into a column of its own, those past the last into the last."""

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
        """The stretch with all that lies between two times (epoch seconds) in one column, by which it is known at the second."""
        part, width = self.part, self.part.width
        low = part.start + max(0, -(-(first - part.start) // width)) * width
        high = part.start + (min(last, part.end) - part.start) // width * width
        if high - low <= width:
            return [self]
        between = self.only(Segment(part.table, width, low, high))
        summed = Stretch(between.part, between.column + between.part.buckets - 1, 1)
        around = [Segment(part.table, width, part.start, low), Segment(part.table, width, high, part.end)]
        return [summed, *(self.only(one) for one in around if one.end > one.start)]

    def unpacked(self, buckets: Collection[int]) -> list[Stretch]:
        """What is to be read from rows, when these 5-minute buckets are packed."""
        if self.part.width != packed.GRAIN:
            return [self]
        return [self.only(part) for part in without(self.part, buckets)]


class Reader:
    """Reads families within one snapshot."""

    def __init__(
        self,
        cursor: CursorWrapper,
        tables: Tables,
        times: Ints,
        step: int,
        now: int,
        window: float,
        based: bool,
        ends: bool,
    ) -> None:
        self._cursor, self._packed, self._sizes = cursor, tables.packed, tables.sizes
        self._times, self._step = times, step
        start, end = int(times[0]) - step, int(times[-1])
        parts = segments(start, max(end, start + 15), now, window, tables.state)
        self._knots = knots(parts)
        self._stretches: list[Stretch] = []
        column = 1
        for part in parts:
            stretch = Stretch(part, column, part.buckets)
            self._stretches += stretch.ends(int(times[1]), int(times[-1])) if ends and len(times) > 2 else [stretch]
            column += part.buckets
        if based:
            self._stretches += [Stretch(part, column, 1) for part in after(int(self._knots[-1]), now, tables.state)]
            self._stretches.append(Stretch(Segment(TOTALS, 1, 0, 1), column + 1, 1))

    def blocks(
        self, family: Family, names: list[str], matchers: Sequence[Matcher], workspaces: frozenset[str] | None
    ) -> Iterator[Block]:
        """The blocks of a family's series of these names."""
        known = directory(self._cursor, family.kind, self._sizes)
        kind = KINDS[family.kind]
        among = sum(count for count, _ in self._sizes.values())
        for value, measure in (family.split[1] if family.split else {"": family.measure}).items():
            group = known.family(family, value).group(tuple(matchers), workspaces)
            if not group.labels:
                continue
            if family.type == "gauge":
                yield self._block(family.name, group.labels, *self._held(group))
                continue
            begun = self._begun(known, group)
            slot, histogram = kind.slots[measure], kind.observed.get(measure)
            counters = Counters(kind.name, group, slot, 1, among)
            if histogram is None:
                yield self._block(family.name, group.labels, self._values(counters)[:, 0], begun)
                continue
            if f"{family.name}_sum" in names:
                yield self._block(f"{family.name}_sum", group.labels, self._values(counters)[:, 0], begun)
            if f"{family.name}_count" in names or f"{family.name}_bucket" in names:
                cells = Counters(kind.name, group, slot + 1, len(histogram.buckets) + 1, among)
                yield from self._cells(family, names, matchers, cells, begun)

    def _cells(
        self, family: Family, names: list[str], matchers: Sequence[Matcher], counters: Counters, begun: Bools
    ) -> Iterator[Block]:
        """The buckets of a histogram, which count what is at most their bound, and the last of them as its count."""
        values = self._values(counters)
        np.cumsum(values, axis=1, out=values)
        shown = counters.group.labels
        if f"{family.name}_count" in names:
            yield self._block(f"{family.name}_count", shown, values[:, -1], begun)
        if f"{family.name}_bucket" in names:
            places = chosen_bounds(family, matchers)
            bounds = [bound(le) for le in (*family.buckets, np.inf)]
            labels = derive(
                shown,
                ("buckets", tuple(places)),
                lambda: LabelSets({**one, "le": bounds[place]} for one in shown for place in places),
            )
            chosen = values if len(places) == len(bounds) else values[:, places]
            values = chosen.reshape(len(labels), len(self._times))
            yield self._block(f"{family.name}_bucket", labels, values, np.repeat(begun, len(places), axis=0))

    def _begun(self, known: Directory, group: Group) -> Bools:
        """Where each series has samples: from the scrape before its first record on."""
        first = known.begun(self._cursor, group, int(self._times[0])) // self._step * self._step
        present: Bools = self._times[None, :] >= first[:, None]
        return present

    def _values(self, counters: Counters) -> Floats:
        """Counters [series, cells, times]: the sums since their start."""
        shape = (len(counters.group.labels), counters.width, len(self._knots))
        cells = shape[0] * shape[1] * max(shape[2], len(self._times))
        if cells > MAX_CELLS:
            raise LimitError(
                "max_samples",
                f"the selector would read {cells:,} samples, more than {MAX_CELLS:,}: narrow the range or the labels",
            )
        # Two more columns: what came after the last knot, and the totals.
        sums = np.zeros((shape[0], shape[1], shape[2] + 2))
        if len(counters.group.ids):
            self._add_packed(sums, counters)
            self._add_rows(sums, counters)
        before = sums[:, :, -1] - sums[:, :, :-1].sum(axis=2)
        np.cumsum(sums[:, :, :-2], axis=2, out=sums[:, :, :-2])
        sums[:, :, :-2] += np.maximum(before, 0)[:, :, None]
        values = on_grid(sums.reshape(-1, sums.shape[2]), self._knots, self._times)
        return values.reshape(shape[0], shape[1], len(self._times))

    def _add_packed(self, sums: Floats, counters: Counters) -> None:
        """Add what is packed to sums [series, cells, columns]."""
        group = counters.group
        for stretch in self._stretches:
            for piece in stretch.pieces() if stretch.part.width == packed.GRAIN else ():
                part = piece.part
                if sum(one.buckets for one in without(part, self._packed)) == part.buckets:
                    continue
                measure, owners = (counters.kind, counters.slot), (group.ids, group.series)
                for entries in packed.read(measure, owners, part.start, part.end, self._packed):
                    place = (entries.series * sums.shape[1] + entries.cell) * sums.shape[2]
                    np.add.at(sums.reshape(-1), place + piece.columns_of(entries.bucket), entries.value)

    def _add_rows(self, sums: Floats, counters: Counters) -> None:
        """Add the rows of what is not packed to sums [series, cells, columns]: one query, whatever the grains."""
        group = counters.group
        stretches = [one for stretch in self._stretches for one in stretch.unpacked(self._packed)]
        if not stretches:
            return
        query = " UNION ALL ".join(counters.read_from(number, one) for number, one in enumerate(stretches))
        places = [(one.part.start, one.part.width, one.column, one.columns) for one in stretches]
        starts, widths, columns, counts = np.array(places, dtype=np.int64).T
        names = [f"m{cell}" for cell in range(counters.width)]
        for rows in copied_pieces(self._cursor, query, ["part", "bucket", "dimension"], names):
            owner = np.minimum(np.searchsorted(group.ids, rows["dimension"]), len(group.ids) - 1)
            own = group.ids[owner] == rows["dimension"]
            if not own.all():
                rows, owner = rows[own], owner[own]
            part, series = rows["part"], group.series[owner]
            bucket = (rows["bucket"] // 1_000_000 + YEAR_2000 - starts[part]) // widths[part]
            place = series * sums.shape[1] * sums.shape[2] + columns[part] + np.minimum(bucket, counts[part] - 1)
            for cell, name in enumerate(names):
                np.add.at(sums.reshape(-1), place + cell * sums.shape[2], rows[name])

    def _held(self, group: Group) -> tuple[Floats, Bools]:
        """Gauges on the grid: each dimension's last value, while it holds, summed per series."""
        hold = settings.PORTAL.gauge_hold
        start, end = int(self._times[0]) - hold, int(self._times[-1])
        query = (
            "SELECT ceil(extract(epoch FROM at))::bigint, dimension_id, value FROM usage_gauge_sample"
            f" WHERE bucket >= to_timestamp({start - 15}) AND bucket <= to_timestamp({end})"
            f" AND dimension_id = ANY({group.listed}) ORDER BY dimension_id, at"
        )
        rows = copied(self._cursor, query, ["at", "dimension"], ["value"])
        values = np.zeros((len(group.labels), len(self._times)))
        present = np.zeros(values.shape, dtype=bool)
        for pk, series in zip(group.ids.tolist(), group.series.tolist(), strict=True):
            mine = rows[rows["dimension"] == pk]
            if not len(mine):
                continue
            last = np.searchsorted(mine["at"], self._times, side="right") - 1
            there = (last >= 0) & (self._times - mine["at"][last] < hold)
            values[series, there] += mine["value"][last[there]]
            present[series] |= there
        return values, present

    def _block(
        self,
        name: str,
        labels: list[dict[str, str]],
        values: Floats,
        present: Bools,
    ) -> Block:
        named = derive(labels, name, lambda: LabelSets({"__name__": name, **shown} for shown in labels))
        return Block(named, self._times * 1000, values, None if present.all() else present)
