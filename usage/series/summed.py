"""6 series: `sum by (…) (rate(…))` and `increase`, summed before they are evaluated: the cost goes with what was
recorded and with the groups, not with series times steps.

A rate is linear in the counter's change, apart from two rules of Prometheus, which look at each series: one that began
inside the window is not stretched to before it began, and none to before it was 0. So the changes of a group are
summed first and stretched once; the windows of those few series to which a rule applies, which are young or were near
0, are then put right one by one. The answer is that of the general way up to rounding
(tests/usage/series/test_summed.py holds the two against each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from promql import Block, Fold, Labels, LabelSets, LimitError, SumNeed, derive
from promql.functions.counters import EDGE_TOLERANCE
from promql.operators.aggregate import Groups, group_rows
from promql.values import Bools, Floats, Ints
from usage.series.grid import on_grid
from usage.series.reading import Counters, Entries, Reading

MAX_CELLS = 16_000_000  # of a matrix, 128 MB
CELLS_AT_ONCE = 1_000_000  # that are cumulated
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a range selector over a grid of times (epoch seconds): those with two samples or more.

    `first` and `last` are the places of their first and last samples on the grid, `start` and `end` their bounds.
    """

    times: Ints
    start: Floats
    end: Floats
    first: Ints
    last: Ints
    of_step: Ints

    @classmethod
    def over(cls, times: Ints, ends_ms: Ints, range_ms: int) -> Windows:
        """The windows that end at these times."""
        first = np.searchsorted(times * 1000, ends_ms - range_ms, side="right")
        last = np.searchsorted(times * 1000, ends_ms, side="right") - 1
        full = np.flatnonzero(last > first)
        ends = ends_ms[full] / 1000
        return cls(times, ends - range_ms / 1000, ends, first[full], last[full], full)

    @cached_property
    def first_at(self) -> Ints:
        """The time of the first sample."""
        return np.asarray(self.times[self.first])

    @cached_property
    def last_at(self) -> Ints:
        """The time of the last sample."""
        return np.asarray(self.times[self.last])

    def stretched(self, first: Ints, which: Ints | slice) -> tuple[Floats, Floats, Floats]:
        """How long the samples from the places `first` to the last reach (seconds), and by how much the change over
        them is stretched towards the start and the end of the window, for some of the windows."""
        sampled = (self.last_at[which] - self.times[first]).astype(float)
        apart = sampled / (self.last[which] - first)
        to_start = self.times[first] - self.start[which]
        to_end = self.end[which] - self.last_at[which]
        to_start = np.where(to_start >= apart * EDGE_TOLERANCE, apart / 2, to_start)
        return sampled, to_start, np.where(to_end >= apart * EDGE_TOLERANCE, apart / 2, to_end)


@dataclass(frozen=True, eq=False)
class Summation:
    """One sum over the series of a group of dimensions. `begun` is the place on the grid
    of each series' first sample."""

    reading: Reading
    counters: Counters
    windows: Windows
    begun: Ints
    cumulated: Sequence[int]
    as_one: bool

    def by(self, groups: Groups) -> tuple[Floats, Bools] | None:
        """The sums [groups, cells, windows] of the increases, and where a group has one
        [groups, windows]; None where a counter fell.

        `cumulated` are the cells of a histogram that are wanted, each with all below it;
        `as_one` takes them all for one.
        """
        with np.errstate(all="ignore"):
            entries = self._entries()
            if len(entries.value) and entries.value.min() < 0:
                return None
            knots = len(self.reading.knots)
            inside = entries.column < knots
            own = entries.only(inside)
            sums = self._linear(own, groups)
            if len(own.value):
                self._put_right(sums, own, self._before(entries, inside), groups)
        earliest = np.full(len(groups.labels), len(self.windows.times))
        np.minimum.at(earliest, groups.of_row, self.begun)
        present = self.windows.last[None, :] > np.maximum(self.windows.first[None, :], earliest[:, None])
        return np.where(present[:, None, :], sums, 0.0), present

    @property
    def rows(self) -> int:
        """How many rows a matrix of its series would have."""
        return len(self.begun) * self.counters.width

    @property
    def _width(self) -> int:
        return 1 if self.as_one else self.counters.width

    def _entries(self) -> Entries:
        found = list(self.reading.entries(self.counters))
        if not found:
            nothing = np.zeros(0, dtype=np.int64)
            return Entries(nothing, nothing, nothing, np.zeros(0))
        cell = np.concatenate([one.cell for one in found])
        return Entries(
            np.concatenate([one.series for one in found]),
            np.zeros_like(cell) if self.as_one else cell,
            np.concatenate([one.column for one in found]),
            np.concatenate([one.value for one in found]),
        )

    def _before(self, entries: Entries, inside: Bools) -> Floats:
        """What each series had counted before the range [series, cells], cumulated over the
        cells: the total, less what came since."""
        is_total = entries.column == len(self.reading.knots) + 1
        place = entries.series * self._width + entries.cell
        signed = np.where(is_total, entries.value, -entries.value)
        size = len(self.begun) * self._width
        before = np.maximum(np.bincount(place, signed, size), 0.0).reshape(len(self.begun), self._width)
        return np.asarray(np.cumsum(before, axis=1))

    def _linear(self, own: Entries, groups: Groups) -> Floats:
        """The changes summed, each window's stretched as that of a series which is old and far from 0."""
        knots, windows = self.reading.knots, self.windows
        edges = np.unique(np.concatenate([windows.first_at, windows.last_at]))
        right = np.clip(np.searchsorted(knots, edges), 0, len(knots) - 1)
        # Only the knots around an edge matter: what lies between them is summed.
        used = np.unique(np.concatenate([right, np.maximum(right - (knots[right] != edges), 0)]))
        shape = (len(groups.labels), self._width, len(used) + 1)
        if np.prod(shape) > MAX_CELLS or shape[0] * len(self.cumulated) * len(windows.end) > MAX_CELLS:
            raise LimitError(
                "max_samples",
                f"the sum has {shape[0]:,} groups at {len(windows.end):,} steps, more than memory is given for:"
                " sum by fewer labels, or take a shorter range",
            )
        sampled, to_start, to_end = windows.stretched(windows.first, slice(None))
        stretch = (sampled + to_start + to_end) / sampled
        first, last = (np.searchsorted(edges, at) for at in (windows.first_at, windows.last_at))
        # In the order of its shape, since single places are corrected in a flat view of it.
        changes = np.empty((shape[0], len(self.cumulated), len(windows.end)))
        group, column = groups.of_row[own.series], np.searchsorted(used, np.arange(len(knots)))[own.column]
        # Some groups at a time, since what is cumulated is larger than what is wanted of it.
        at_once = max(1, CELLS_AT_ONCE // (shape[1] * shape[2]))
        for start in range(0, shape[0], at_once):
            stop = min(start + at_once, shape[0])
            chosen = slice(None) if stop - start == shape[0] else np.flatnonzero((group >= start) & (group < stop))
            place = ((group[chosen] - start) * shape[1] + own.cell[chosen]) * shape[2] + column[chosen]
            some = (stop - start, *shape[1:])
            # Of nothing at all bincount makes integers.
            sums = np.bincount(place, own.value[chosen], int(np.prod(some))).astype(np.float64, copy=False)
            sums = sums.reshape(some)
            sums = np.cumsum(np.cumsum(sums, axis=2, out=sums), axis=1, out=sums)[:, list(self.cumulated), :-1]
            at = on_grid(sums.reshape(-1, len(used)), knots[used], edges)
            change = (at[:, last] - at[:, first]) * stretch
            changes[start:stop] = change.reshape(stop - start, *changes.shape[1:])
        return changes

    def _put_right(self, sums: Floats, own: Entries, before: Floats, groups: Groups) -> None:
        """Replace, in the sums, what the linear way made of each series and window to
        which a rule of its own applies."""
        windows, steps = self.windows, len(self.windows.end)
        sampled, to_start, to_end = windows.stretched(windows.first, slice(None))
        stretch = (sampled + to_start + to_end) / sampled
        nearest = float((to_start / sampled).max()) * (1 + 1e-9)
        own = self._of_young(own, before, nearest)
        if not len(own.value):
            return
        ordered = Ordered(own, self.reading.knots)
        begun_at = np.append(windows.times, windows.times[-1] + 1)[self.begun]
        early = ordered.may_hold(begun_at, float((windows.end - windows.start)[0]))
        until = ordered.until(float((windows.end - windows.start)[0]))
        lowest = np.searchsorted(ordered.knots, windows.first_at, side="right")
        highest = np.searchsorted(ordered.knots, windows.last_at, side="left")
        for place, cell in enumerate(self.cumulated):
            prefix = ordered.prefix(cell)
            base = before[:, cell]
            grown = prefix[:-1] - prefix[ordered.starts]
            near = base[ordered.series] + grown < nearest * (prefix[until] - prefix[:-1])
            doubtful = np.flatnonzero((ordered.cell <= cell) & (near | early))
            column = ordered.column[doubtful]
            first, stop = np.searchsorted(highest, column), np.searchsorted(lowest, column, side="right")
            # Each window once: entries lie in the order of series and columns, so that a
            # later one adds what lies past the last.
            of_series = ordered.series[doubtful]
            first[1:] = np.where(of_series[1:] == of_series[:-1], np.maximum(first[1:], stop[:-1]), first[1:])
            count = np.maximum(stop - first, 0)
            if count.sum() > MAX_CELLS:
                raise LimitError(
                    "max_samples", f"the sum would look at {count.sum():,} samples one by one, more than {MAX_CELLS:,}"
                )
            window = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
            series = np.repeat(of_series, count)
            wrong = (
                ordered.change(prefix, series, windows.first_at[window], windows.last_at[window])[1] * stretch[window]
            )
            right = self._increase(ordered, prefix, base[series], series, window)
            target = (groups.of_row[series] * len(self.cumulated) + place) * steps + window
            flat, touched = sums.reshape(-1), np.unique(target)
            linear = np.abs(flat[touched])
            np.add.at(flat, target, right - wrong)
            # What is left where all was taken back is rounding, and would pass for a rate.
            flat[touched[np.abs(flat[touched]) < ROUNDING * linear]] = 0.0

    def _of_young(self, own: Entries, before: Floats, nearest: float) -> Entries:
        """The entries of series that began in the range, or that were so small that some
        window can reach back to their 0."""
        place = own.series * self._width + own.cell
        grown = np.cumsum(np.bincount(place, own.value, before.size).reshape(before.shape), axis=1)
        young = (before < nearest * grown).any(axis=1) | (self.begun > 0)
        chosen = young[own.series]
        return own if chosen.all() else own.only(chosen)

    def _increase(self, ordered: Ordered, prefix: Floats, base: Floats, series: Ints, window: Ints) -> Floats:
        """Prometheus's increase of each series over a window."""
        first = np.maximum(self.windows.first[window], self.begun[series])
        enough = first < self.windows.last[window]
        first = np.minimum(first, self.windows.last[window] - 1)
        grown, change = ordered.change(prefix, series, self.windows.times[first], self.windows.last_at[window])
        sampled, to_start, to_end = self.windows.stretched(first, window)
        to_zero = np.where(change > 0, sampled * ((base + grown) / change), to_start)
        stretched = change * ((sampled + np.minimum(to_start, to_zero) + to_end) / sampled)
        return np.where(enough, stretched, 0.0)


class Ordered:
    """Entries by series and time, so that what a series had counted by some time is a difference of two prefix sums."""

    def __init__(self, own: Entries, knots: Ints) -> None:
        key = own.series * (len(knots) + 1) + own.column
        order = np.argsort(key, kind="stable")
        self.knots, self._key = knots, key[order]
        self.series, self.cell, self.column = own.series[order], own.cell[order], own.column[order]
        self._value = own.value[order]
        self.starts = np.searchsorted(self._key, self.series * (len(knots) + 1))

    def prefix(self, cell: int) -> Floats:
        """Prefix sums of what counts in a cell that is cumulated, one longer than the entries."""
        return np.concatenate([[0.0], np.cumsum(np.where(self.cell <= cell, self._value, 0.0))])

    def may_hold(self, begun_at: Ints, range_seconds: float) -> Bools:
        """Which entries lie in a window with the beginning of their series."""
        return np.asarray(self.knots[self.column - 1] - range_seconds <= begun_at[self.series])

    def until(self, range_seconds: float) -> Ints:
        """For each entry the end of those that a window which begins with it can have."""
        last = np.minimum(np.searchsorted(self.knots, self.knots + range_seconds), len(self.knots))
        return np.searchsorted(self._key, self.series * (len(self.knots) + 1) + last[self.column], side="right")

    def change(self, prefix: Floats, series: Ints, start: Ints, end: Ints) -> tuple[Floats, Floats]:
        """What each series had counted since the first knot at `start`, and from then to `end`."""
        grown = self._grown(prefix, series, start)
        return grown, self._grown(prefix, series, end) - grown

    def _grown(self, prefix: Floats, series: Ints, at: Ints) -> Floats:
        knots, first = self.knots, series * (len(self.knots) + 1)
        right = np.clip(np.searchsorted(knots, at), 0, len(knots) - 1)
        begin = prefix[np.searchsorted(self._key, first)]
        high = prefix[np.searchsorted(self._key, first + right, side="right")]
        if np.array_equal(knots[right], at):
            return np.asarray(high - begin)
        left = np.maximum(right - 1, 0)
        low = prefix[np.searchsorted(self._key, first + left, side="right")]
        share = np.clip((at - knots[left]) / np.maximum(knots[right] - knots[left], 1), 0.0, 1.0)
        return np.asarray(np.minimum(low + (high - low) * share, high) - begin)


def groups_of(shown: LabelSets, need: SumNeed) -> Groups:
    """The groups of a family's series, without the histogram's `le`."""
    grouping = tuple(name for name in need.grouping if name != "le")
    groups = derive(shown, ("sum groups", need.by, grouping), lambda: group_rows(shown, need.by, grouping))
    return groups if need.fold is None else folded(groups, need.fold)


def folded(groups: Groups, fold: Fold) -> Groups:
    """The groups, those that are folded as one. Which they are changes with what a chart
    shows, so it is not remembered."""
    places: dict[tuple[str, ...], int] = {}
    labels: list[Labels] = []
    place_of = []
    for own in groups.labels:
        shown = fold.folded(own)
        place = places.setdefault(tuple(shown.values()), len(labels))
        if place == len(labels):
            labels.append(shown)
        place_of.append(place)
    return Groups(np.array(place_of, dtype=np.int64)[groups.of_row], labels)


def with_bounds(labels: list[Labels], bounds: Sequence[str]) -> list[Labels]:
    """The labels of each group with each `le`."""
    return derive(
        labels, ("le", tuple(bounds)), lambda: LabelSets({**one, "le": le} for one in labels for le in bounds)
    )


def joined(blocks: Sequence[Block]) -> Block | None:
    """Blocks of sums on the same steps as one; what is in several of them is summed."""
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    rows: dict[frozenset[tuple[str, str]], int] = {}
    labels: list[Labels] = []
    places = []
    for block in blocks:
        for own in block.labels:
            place = rows.setdefault(frozenset(own.items()), len(labels))
            if place == len(labels):
                labels.append(own)
            places.append(place)
    values = np.zeros((len(labels), len(blocks[0].times)))
    present = np.zeros(values.shape, dtype=bool)
    np.add.at(values, places, np.concatenate([block.values for block in blocks]))
    np.logical_or.at(present, places, np.concatenate([block.present for block in blocks if block.present is not None]))
    return Block(LabelSets(labels), blocks[0].times, values, present)
