"""Where series come from: the protocol of a source, and one that holds its series in memory."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from promql.errors import PromQLError
from promql.labels import LabelKey, Labels, Matcher, label_key, matches_all
from promql.values import Bools, Floats, Ints

STALE_BITS = 0x7FF0000000000002
STALE_NAN = float(np.array([STALE_BITS], dtype=np.uint64).view(np.float64)[0])
"""The NaN with which Prometheus marks the end of a series; compare its bits, not its value."""


@dataclass(frozen=True)
class Hints:
    """What the samples are for; a source may use it to choose a coarser grain, and may ignore it.

    `step_ms` is the distance of the evaluation times (0 if there is one), `range_ms` the length of a range selector
    (0 for an instant one), `func` the function directly around it, `grouping` the labels of the nearest aggregation
    above (None without one), `by` whether they are kept (by) or dropped (without).
    """

    step_ms: int = 0
    range_ms: int = 0
    func: str = ""
    grouping: tuple[str, ...] | None = None
    by: bool = False


@dataclass
class Block:
    """Series that share one grid of ascending times (ms): values [series, times]; `present` None means all are.

    `part` is set where these are rows of a larger block that other queries use too: range functions are then evaluated
    once over that block.
    """

    labels: list[Labels]
    times: Ints
    values: Floats
    present: Bools | None = None
    part: "Part | None" = None


@dataclass
class Part:
    """Some rows of a block; `results` caches what range functions returned for all of its series."""

    whole: Block
    rows: Ints
    results: dict[Hashable, tuple[Floats, Bools] | None]


@dataclass(frozen=True)
class Fold:
    """Label sets whose values of `names` are not among `kept` have the value `rest` for each of these."""

    names: tuple[str, ...]
    kept: frozenset[tuple[str, ...]]
    rest: str

    def folded(self, labels: Labels) -> Labels:
        """The labels that a label set shows."""
        if tuple(labels.get(name, "") for name in self.names) in self.kept:
            return labels
        return {**labels, **dict.fromkeys(self.names, self.rest)}


@dataclass(frozen=True)
class SumNeed:
    """`sum by (grouping) (func(metric{matchers}[range]))`, `func` being rate or increase, at
    times (ms) that already are less the offset.

    With `by` false the sum is `without (grouping)`. With a fold, which is by some of the
    grouping, the groups outside it are one.
    """

    matchers: tuple[Matcher, ...]
    func: str
    range_ms: int
    grouping: tuple[str, ...]
    by: bool
    start_ms: int
    end_ms: int
    step_ms: int
    fold: Fold | None = None

    @property
    def times(self) -> Ints:
        """The times at which it is wanted."""
        return np.arange(self.start_ms, self.end_ms + 1, self.step_ms or 1, dtype=np.int64)


class Source(Protocol):
    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """All series that match, with their samples from `start_ms` to `end_ms`; more on either side does no harm."""
        ...


class Summing(Source, Protocol):
    """A source that can sum by itself, with less work than it takes to hand over each series."""

    def summed(self, need: SumNeed) -> Block | None:
        """The sums at the times of `need`, those that are there marked as present; None
        to have it evaluated over the series."""
        ...


class Snapshots(Source, Protocol):
    """A source that can keep its data unchanged over several selections; a query makes all of its selections in one
    snapshot."""

    def snapshot(self) -> AbstractContextManager[Source]:
        """While it is entered, a source whose data do not change."""
        ...


S = TypeVar("S", bound=Source)


def snapshot_of(source: S) -> AbstractContextManager[S]:
    """The source's snapshot, or the source itself where it has none."""
    snapshot: Callable[[], AbstractContextManager[S]] | None = getattr(source, "snapshot", None)
    return nullcontext(source) if snapshot is None else snapshot()


def sums_of(source: Source, need: SumNeed) -> Block | None:
    """What the source has summed by itself; None where it does not."""
    summed: Callable[[SumNeed], Block | None] | None = getattr(source, "summed", None)
    return None if summed is None else summed(need)


def is_stale(values: Floats) -> Bools:
    """Which samples are staleness markers."""
    stale: Bools = np.asarray(values, dtype=np.float64).view(np.uint64) == np.uint64(STALE_BITS)
    return stale


class MemorySource:
    """Series in memory."""

    def __init__(self) -> None:
        self._series: dict[LabelKey, tuple[Labels, Ints, Floats]] = {}

    def add(self, labels: Labels, times_ms: ArrayLike, values: ArrayLike) -> None:
        """Add samples to a series; a sample at a time that is there already replaces it. Raises PromQLError."""
        times = np.asarray(times_ms, dtype=np.int64)
        floats = np.asarray(values, dtype=np.float64)
        if times.ndim != 1 or times.shape != floats.shape:
            raise PromQLError(f"times {times.shape} and values {floats.shape} must be two lists of one length")
        labels = {name: value for name, value in labels.items() if value}
        key = label_key(labels)
        if key in self._series:
            _, old_times, old_values = self._series[key]
            times, floats = np.concatenate([old_times, times]), np.concatenate([old_values, floats])
        # The last of equal times wins: unique keeps the first of the reversed.
        times, index = np.unique(times[::-1], return_index=True)
        self._series[key] = (labels, times, floats[::-1][index])

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        grids: dict[bytes, tuple[Ints, list[Labels], list[Floats]]] = {}
        for labels, times, values in self._series.values():
            if not matches_all(labels, matchers):
                continue
            first = int(np.searchsorted(times, start_ms, side="left"))
            stop = int(np.searchsorted(times, end_ms, side="right"))
            if first == stop:
                continue
            grid = times[first:stop]
            _, names, rows = grids.setdefault(grid.tobytes(), (grid, [], []))
            names.append(labels)
            rows.append(values[first:stop])
        return [Block(names, grid, np.stack(rows)) for grid, names, rows in grids.values()]
