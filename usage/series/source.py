"""6 series: what the catalog's families were, as a server would have scraped them every
15 s. A promql source over the rollups.

Counters and histograms are dense on one grid of times: series of a family are one matrix. A counter begins with a 0,
one scrape before its first record, so that its first increments count; afterwards it never ends. Gauges hold their last
value for a while. A source that is made for some workspaces sees nothing of others, whatever the expression.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

from core.pg.binary_copy import copied
from core.pg.snapshot import snapshot
from promql import Block, Hints, LabelSets, LimitError, Matcher, SumNeed, derive
from promql.operators.aggregate import Groups
from promql.values import Bools, Floats, Ints
from usage.catalog import BY_SERIES, FAMILIES, KINDS, Family, bound, series_names
from usage.catalog.grains import FINE
from usage.series import past_sums
from usage.series.grid import LONG, grid_step, grid_times, on_grid
from usage.series.index import Group, SeriesIndex, Sizes, series_index, sizes_query, sizes_read
from usage.series.reading import Counters, Reading, Tables, read_tables
from usage.series.summed import Summation, Windows, groups_of, joined, with_bounds

MAX_CELLS = 60_000_000
MAX_INCREASES = 4  # remembered in a snapshot
# Up to here a range is read as a matrix and evaluated series by series in a fraction of the time that its samples need
# one by one; beyond it, a matrix is mostly empty.
DENSE_CELLS = 10_000_000
MANY_SERIES = 2_000  # from here on sums are remembered (usage.series.past_sums), which no matrix of series is
WORK_OF_STEP = 4  # evaluating a step costs as much as reading this many samples
# Functions that look at differences only: where the counter stood before the range does not matter to them. To rate and
# increase it does: they do not extrapolate a counter to before it was 0.
DIFFERENCES = frozenset({"irate", "idelta", "delta", "deriv", "changes", "resets"})
# At one time these depend on a counter's first and last sample only, as ours are never reset.
BY_ENDS = frozenset({"rate", "increase"})


class PostgresSource:
    """Series of the catalog. `workspaces` None: all; `now` in epoch seconds: nothing is
    later (default: the clock at each select)."""

    def __init__(self, workspaces: Collection[str] | None = None, now: float | None = None) -> None:
        self._workspaces = None if workspaces is None else frozenset(workspaces)
        self._now = now

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, on the grid that suits the hints, within [start_ms,
        end_ms]. Raises promql.LimitError."""
        with self.snapshot() as state:
            return state.select(matchers, start_ms, end_ms, hints)

    def summed(self, need: SumNeed) -> Block | None:
        """The sums of a counter's rates or increases (promql.Summing). Raises promql.LimitError."""
        with self.snapshot() as state:
            return state.summed(need)

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """The labels of the series that match and began by `end_ms`, without reading a sample."""
        with self.snapshot() as state:
            return state.series(matchers, end_ms)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One state of the tables: a record is in totals and rollups or in neither, and
        so for all selectors of a query."""
        with snapshot(), connection.cursor() as cursor:
            yield Snapshot(cursor, self._workspaces, self._now)


@dataclass(frozen=True)
class Counted:
    """The series of a counter that are summed: of which family, their name and matchers, over how many seconds in
    all, and whether this is the whole range."""

    family: Family
    name: str
    matchers: Sequence[Matcher]
    span: int
    is_whole: bool


class Snapshot:
    """The series in one state of the tables."""

    def __init__(self, cursor: CursorWrapper, workspaces: frozenset[str] | None, now: float | None) -> None:
        self._cursor, self._workspaces, self._now = cursor, workspaces, now
        self._tables: tuple[int, Tables] | None = None  # and from when on (epoch seconds)
        # Quantiles of one histogram, and a rate beside an increase, are made of the same sums.
        self._increases: dict[SumNeed, Block | None] = {}

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
        reading = Reading.of(
            self._cursor, times, step, now, window, tables.watermark, tables.chunked, based=based, ends=ends
        )
        reader = Reader(reading, tables.sizes, times, step)
        blocks: list[Block] = []
        for family in families:
            wanted = [name for name in series_names(family) if name in names]
            blocks += reader.blocks(family, wanted, others, self._workspaces)
        return blocks

    def summed(self, need: SumNeed) -> Block | None:
        """See PostgresSource. None for what is no counter, for several metrics at once, where `le` is summed over, and
        for a range of so few series that each is faster evaluated by itself."""
        increase = replace(need, func="increase")
        if increase in self._increases:
            found = self._increases[increase]
        else:
            found = self._increase(increase)
            while len(self._increases) >= MAX_INCREASES:
                del self._increases[next(iter(self._increases))]
            self._increases[increase] = found
        if found is None:
            return None
        values = found.values / (need.range_ms / 1000) if need.func == "rate" else found.values.copy()
        return Block(found.labels, found.times, values, None if found.present is None else found.present.copy())

    def _increase(self, need: SumNeed) -> Block | None:
        now = int(self._now if self._now is not None else time.time())
        named, others = split_name(need.matchers)
        name = named[0].value if len(named) == 1 and named[0].op == "=" else ""
        family, keeps_le = BY_SERIES.get(name), need.by == ("le" in need.grouping)
        if family is None or family.type == "gauge" or "__name__" in need.grouping:
            return None
        if name.endswith("_bucket") and not keeps_le:
            return None
        start, end = -(-(need.start_ms - need.range_ms) // 1000), min(need.end_ms // 1000, now)
        counted = Counted(family, name, others, end - start, bool(need.step_ms))
        # Charts have their points on multiples of the step; what else is asked for is hardly asked for again.
        if not need.step_ms or need.start_ms % need.step_ms or end < start:
            return self._computed(need, counted, now)
        tables = self._read_tables(start - past_sums.BEFORE, now)
        lineage = series_index(self._cursor, family.kind, tables.sizes).lineage
        return past_sums.remembered(
            need,
            (self._workspaces, lineage),
            tables,
            now,
            lambda part: self._computed(part, replace(counted, is_whole=part == need), now),
        )

    def _computed(self, need: SumNeed, counted: Counted, now: int) -> Block | None:
        window = need.range_ms / 1000
        start, end = -(-(need.start_ms - need.range_ms) // 1000), min(need.end_ms // 1000, now)
        step = grid_step(window, counted.span)
        times = grid_times(start, end, step)
        nothing = Block([], need.times, np.zeros((0, len(need.times))))
        windows = Windows.over(times, need.times, need.range_ms)
        if not len(windows.end):
            return nothing
        tables = self._read_tables(int(times[0]) - step, now)
        reading = Reading.of(
            self._cursor,
            times,
            step,
            now,
            window,
            tables.watermark,
            tables.chunked,
            based=True,
            ends=not need.step_ms,
            long=counted.span >= LONG,
        )
        reader, blocks = Reader(reading, tables.sizes, times, step), []
        summations = list(
            reader.summations(counted.family, counted.name, counted.matchers, self._workspaces, windows, need)
        )
        each = len(times) + WORK_OF_STEP * len(need.times)
        rows = sum(summation.rows for summation, _, _ in summations)
        if counted.is_whole and rows < MANY_SERIES and rows * each <= DENSE_CELLS:
            return None
        for summation, groups, bounds in summations:
            found = summation.by(groups)
            if found is None:
                return None
            labels = with_bounds(groups.labels, bounds) if bounds else groups.labels
            values = np.zeros((len(labels), len(need.times)))
            present = np.zeros(values.shape, dtype=bool)
            values[:, windows.of_step] = found[0].reshape(len(labels), -1)
            present[:, windows.of_step] = np.repeat(found[1], len(bounds) or 1, axis=0)
            blocks.append(Block(labels, need.times, values, present))
        return joined(blocks) or nothing

    def _read_tables(self, start: int, now: int) -> Tables:
        if self._tables is None or start < self._tables[0]:
            self._tables = start, read_tables(self._cursor, start, now)
        return self._tables[1]

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
                known = series_index(self._cursor, family.kind, sizes)
                group = known.family(family, value).group(tuple(others), self._workspaces)
                first_at = known.begun(self._cursor, group, end)
                begun = [labels for labels, first in zip(group.labels, first_at, strict=True) if first <= end]
                for name in names:
                    found += expanded(family, name, begun, others)
        return found


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


def check_cells(cells: int) -> None:
    """Refuse what would take more memory than a query may have."""
    if cells > MAX_CELLS:
        raise LimitError(
            "max_samples",
            f"the selector would read {cells:,} samples, more than {MAX_CELLS:,}: narrow the range or the labels",
        )


class Reader:
    """Reads families within one snapshot."""

    def __init__(self, reading: Reading, sizes: Sizes, times: Ints, step: int) -> None:
        self._reading, self._sizes, self._times, self._step = reading, sizes, times, step
        self._cursor = reading.cursor

    def blocks(
        self, family: Family, names: list[str], matchers: Sequence[Matcher], workspaces: frozenset[str] | None
    ) -> Iterator[Block]:
        """The blocks of a family's series of these names."""
        known = series_index(self._cursor, family.kind, self._sizes)
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
            offset, histogram = kind.offsets[measure], kind.observed.get(measure)
            counters = Counters(kind.name, group, offset, 1, among)
            if histogram is None:
                yield self._block(family.name, group.labels, self._values(counters)[:, 0], begun)
                continue
            if f"{family.name}_sum" in names:
                yield self._block(f"{family.name}_sum", group.labels, self._values(counters)[:, 0], begun)
            if f"{family.name}_count" in names or f"{family.name}_bucket" in names:
                cells = Counters(kind.name, group, offset + 1, len(histogram.buckets) + 1, among)
                yield from self._cells(family, names, matchers, cells, begun)

    def summations(
        self,
        family: Family,
        name: str,
        matchers: Sequence[Matcher],
        workspaces: frozenset[str] | None,
        windows: Windows,
        need: SumNeed,
    ) -> Iterator[tuple[Summation, Groups, list[str]]]:
        """What is to be summed of a counter's series, its groups, and the bounds (`le`) of which there is a
        sum each; for a series of buckets only."""
        known = series_index(self._cursor, family.kind, self._sizes)
        kind = KINDS[family.kind]
        among = sum(count for count, _ in self._sizes.values())
        for value, measure in (family.split[1] if family.split else {"": family.measure}).items():
            group = known.family(family, value).group(tuple(matchers), workspaces)
            if not group.labels:
                continue
            first = known.begun(self._cursor, group, int(self._times[0])) // self._step * self._step
            begun = np.searchsorted(self._times, first)
            offset, histogram = kind.offsets[measure], kind.observed.get(measure)
            bounds: list[str] = []
            cells, counters = [0], Counters(kind.name, group, offset, 1, among)
            if histogram is not None and not name.endswith("_sum"):
                counters = Counters(kind.name, group, offset + 1, len(histogram.buckets) + 1, among)
            if name.endswith("_bucket"):
                cells = chosen_bounds(family, matchers)
                if not cells:
                    continue  # no bucket has the bound that is asked for
                bounds = [bound((*family.buckets, np.inf)[cell]) for cell in cells]
            as_one = name.endswith("_count") and histogram is not None
            yield (
                Summation(self._reading, counters, windows, begun, cells, as_one),
                groups_of(group.labels, need),
                bounds,
            )

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

    def _begun(self, known: SeriesIndex, group: Group) -> Bools:
        """Where each series has samples: from the scrape before its first record on."""
        first = known.begun(self._cursor, group, int(self._times[0])) // self._step * self._step
        present: Bools = self._times[None, :] >= first[:, None]
        return present

    def _values(self, counters: Counters) -> Floats:
        """Counters [series, cells, times]: the sums since their start."""
        shape = (len(counters.group.labels), counters.width, len(self._reading.knots))
        cells = shape[0] * shape[1] * max(shape[2], len(self._times))
        check_cells(cells)
        # Two more columns: what came after the last knot, and the totals.
        sums = np.zeros((shape[0], shape[1], shape[2] + 2))
        for entries in self._reading.entries(counters):
            place = (entries.series * sums.shape[1] + entries.cell) * sums.shape[2] + entries.column
            np.add.at(sums.reshape(-1), place, entries.value)
        before = sums[:, :, -1] - sums[:, :, :-1].sum(axis=2)
        np.cumsum(sums[:, :, :-2], axis=2, out=sums[:, :, :-2])
        sums[:, :, :-2] += np.maximum(before, 0)[:, :, None]
        values = on_grid(sums.reshape(-1, sums.shape[2]), self._reading.knots, self._times)
        return values.reshape(shape[0], shape[1], len(self._times))

    def _held(self, group: Group) -> tuple[Floats, Bools]:
        """Gauges on the grid: each dimension's last value, while it holds, summed per series."""
        hold = settings.PORTAL.gauge_hold
        check_cells(len(group.labels) * len(self._times))
        start, end = int(self._times[0]) - hold, int(self._times[-1])
        query = (
            "SELECT ceil(extract(epoch FROM at))::bigint, dimension_id, value FROM usage_gauge_sample"  # noqa: S608 - only names of our own; values are parameters
            f" WHERE bucket >= to_timestamp({start - FINE.seconds}) AND bucket <= to_timestamp({end})"
            f" AND dimension_id = ANY({group.listed}) ORDER BY dimension_id, at"
        )
        rows = copied(self._cursor, query, ["at", "dimension"], ["value"])
        values = np.zeros((len(group.labels), len(self._times)))
        present = np.zeros(values.shape, dtype=bool)
        first, stop = (np.searchsorted(rows["dimension"], group.ids, side=side) for side in ("left", "right"))
        for series, begin, end_at in zip(group.series.tolist(), first.tolist(), stop.tolist(), strict=True):
            mine = rows[begin:end_at]
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
