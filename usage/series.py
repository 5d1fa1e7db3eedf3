"""6 series: what the catalog's families were, as a server would have scraped them every 15 s. A promql source over the rollups.

Counters and histograms are dense on one grid of times: series of a family are one matrix. A counter begins with a 0, one scrape
before its first record, so that its first increments count; afterwards it never ends. Gauges hold their last value for a while.
A source that is made for some workspaces sees nothing of others, whatever the expression.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from promql import Block, Hints, LimitError, Matcher
from usage import epoch, packed
from usage.catalog import BY_SERIES, FAMILIES, KINDS, Family, bound, series_names
from usage.copying import YEAR_2000, Rows, copied
from usage.directory import Directory, Group, directory
from usage.grid import BEYOND, Segment, after, grid_step, grid_times, knots, on_grid, segments, without
from usage.measures import Floats, Ints
from usage.packed import Entries

Bools = NDArray[np.bool_]
MAX_CELLS = 60_000_000
# Functions that look at differences only: where the counter stood before the range does not matter to them. To rate and increase it
# does: they do not extrapolate a counter to before it was 0.
DIFFERENCES = frozenset({"irate", "idelta", "delta", "deriv", "changes", "resets"})


class PostgresSource:
    """Series of the catalog. `workspaces` None: all; `now` in epoch seconds: nothing is later (default: the clock at each select)."""

    def __init__(self, workspaces: Collection[str] | None = None, now: float | None = None) -> None:
        self._workspaces = None if workspaces is None else frozenset(workspaces)
        self._now = now

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, on the grid that suits the hints, within [start_ms, end_ms]. Raises promql.LimitError."""
        now = int(self._now if self._now is not None else time.time())
        named, others = split_name(matchers)
        names = [name for name in BY_SERIES if all(one.matches(name) for one in named)]
        window = (hints.range_ms or min(hints.step_ms, 1_200_000)) / 1000
        start, end = -(-start_ms // 1000), min(end_ms // 1000, now)
        step = grid_step(window, end - start)
        times = grid_times(start, end, step)
        if not len(times) or not names:
            return []
        blocks: list[Block] = []
        alone = not connection.in_atomic_block
        with transaction.atomic(), connection.cursor() as cursor:
            if alone:  # one snapshot for totals and rollups: a counter's base is one less the other
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader = Reader(cursor, times, step, now, window, hints.func not in DIFFERENCES)
            for family in FAMILIES:
                wanted = [name for name in series_names(family) if name in names]
                if wanted:
                    blocks += reader.blocks(family, wanted, others, self._workspaces)
        return blocks

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[dict[str, str]]:
        """The labels of the series that match and began by `end_ms`, without reading a sample."""
        end = np.iinfo(np.int64).max if end_ms is None else end_ms // 1000
        found: list[dict[str, str]] = []
        named, others = split_name(matchers)
        with connection.cursor() as cursor:
            for family in FAMILIES:
                names = [name for name in series_names(family) if all(one.matches(name) for one in named)]
                values = family.split[1] if family.split else ("",)
                for value in values if names else ():
                    known = directory(cursor, family.kind)
                    group = known.family(family, value).group(tuple(others), self._workspaces)
                    first_at = known.begun(cursor, group, end)
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


@dataclass(frozen=True)
class Counters:
    """What is to be read of a group: a slot, or the slots of a histogram's buckets."""

    kind: str
    group: Group
    slot: int
    width: int

    @property
    def names(self) -> list[str]:
        """Of the cells in a row that was read."""
        return [f"m{cell}" for cell in range(self.width)]

    @property
    def columns(self) -> str:
        """The cells in SQL."""
        return ", ".join(f"coalesce(measures[{self.slot + cell + 1}], 0)" for cell in range(self.width))


class Reader:
    """Reads families within one snapshot."""

    def __init__(self, cursor: CursorWrapper, times: Ints, step: int, now: int, window: float, based: bool) -> None:
        start, end = int(times[0]) - step, int(times[-1])
        buckets = packed.BUCKETS.format(start=start, end=now + BEYOND)
        cursor.execute(f"SELECT s.*, ({buckets}) FROM ({epoch.READ}) AS s")
        *state, packed_buckets = cursor.fetchone()
        self._state, self._packed = epoch.State(*state), frozenset(packed_buckets)
        self._cursor, self._times, self._step, self._now, self._based = cursor, times, step, now, based
        self._parts = segments(start, max(end, start + 15), now, window, self._state)
        self._knots = knots(self._parts)

    def blocks(
        self, family: Family, names: list[str], matchers: Sequence[Matcher], workspaces: frozenset[str] | None
    ) -> Iterator[Block]:
        """The blocks of a family's series of these names."""
        known = directory(self._cursor, family.kind)
        kind = KINDS[family.kind]
        for value, measure in (family.split[1] if family.split else {"": family.measure}).items():
            group = known.family(family, value).group(tuple(matchers), workspaces)
            if not group.labels:
                continue
            if family.type == "gauge":
                yield self._block(family.name, group.labels, *self._held(group))
                continue
            begun = self._begun(known, group)
            slot, histogram = kind.slots[measure], kind.observed.get(measure)
            counters = Counters(kind.name, group, slot, 1)
            if histogram is None:
                yield self._block(family.name, group.labels, self._values(counters)[:, 0], begun)
                continue
            if f"{family.name}_sum" in names:
                yield self._block(f"{family.name}_sum", group.labels, self._values(counters)[:, 0], begun)
            if f"{family.name}_count" in names or f"{family.name}_bucket" in names:
                cells = Counters(kind.name, group, slot + 1, len(histogram.buckets) + 1)
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
            labels = [{**one, "le": bounds[place]} for one in shown for place in places]
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
        sums = np.zeros(shape)
        if len(counters.group.ids):
            at = 1
            for part in self._parts:
                for piece in part.pieces():
                    self._add(sums[:, :, at : at + piece.buckets], counters, piece)
                    at += piece.buckets
            np.cumsum(sums, axis=2, out=sums)
            if self._based:
                sums += self._base(counters, sums[:, :, -1])[:, :, None]
        values = on_grid(sums.reshape(-1, shape[2]), self._knots, self._times)
        return values.reshape(shape[0], shape[1], len(self._times))

    def _add(self, sums: Floats, counters: Counters, part: Segment) -> None:
        """Add what a stretch holds to sums [series, cells, buckets]; where they have one bucket, all of it to that."""
        by_row = [part] if part.width > packed.GRAIN else without(part, self._packed)
        if sum(one.buckets for one in by_row) < part.buckets:
            measure, owners = (counters.kind, counters.slot), (counters.group.ids, counters.group.series)
            for entries in packed.read(self._cursor, measure, owners, part.start, part.end, self._packed):
                add_entries(sums, entries)
        for one in by_row:
            rows = self._read(counters, one)
            add_rows(sums, counters, rows, (rows["bucket"] - part.start) // part.width)

    def _read(self, counters: Counters, part: Segment) -> Rows:
        """The rows of a stretch as a structured array: bucket (epoch seconds), dimension, m0, m1 … (the cells)."""
        query = (
            f"SELECT bucket, dimension_id, {counters.columns} FROM {part.table}"
            f" WHERE bucket >= to_timestamp({part.start}) AND bucket < to_timestamp({part.end})"
            f" AND dimension_id = ANY({counters.group.listed})"
        )
        rows = copied(self._cursor, query, ["bucket", "dimension"], counters.names)
        rows["bucket"] = rows["bucket"] // 1_000_000 + YEAR_2000
        return rows

    def _base(self, counters: Counters, within: Floats) -> Floats:
        """What each counter [series, cells] had before the first knot: its total, less what was read, less what came after."""
        query = (
            f"SELECT 0::bigint, dimension_id, {counters.columns} FROM usage_total"
            f" WHERE dimension_id = ANY({counters.group.listed})"
        )
        totals = copied(self._cursor, query, ["bucket", "dimension"], counters.names)
        total, later = np.zeros((*within.shape, 1)), np.zeros((*within.shape, 1))
        add_rows(total, counters, totals, totals["bucket"])
        for part in after(int(self._knots[-1]), self._now, self._state):
            self._add(later, counters, part)
        return np.maximum((total - later)[:, :, 0] - within, 0)

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
        named = [{"__name__": name, **shown} for shown in labels]
        return Block(named, self._times * 1000, values, None if present.all() else present)


def add_entries(sums: Floats, entries: Entries) -> None:
    """Add packed entries to sums [series, cells, buckets]."""
    place = entries.series * sums.shape[1] + entries.cell
    place *= sums.shape[2]
    place += np.minimum(entries.bucket, sums.shape[2] - 1)
    sums += np.bincount(place, entries.value, minlength=sums.size).reshape(sums.shape)


def add_rows(sums: Floats, counters: Counters, rows: Rows, buckets: Ints) -> None:
    """Add rows, each with its bucket, to sums [series, cells, buckets]."""
    series = counters.group.series[np.searchsorted(counters.group.ids, rows["dimension"])]
    place = series * sums.shape[2] + np.minimum(buckets, sums.shape[2] - 1)
    for cell, name in enumerate(counters.names):
        added = np.bincount(place, rows[name], minlength=sums.shape[0] * sums.shape[2])
        sums[:, cell] += added.reshape(sums.shape[0], sums.shape[2])
