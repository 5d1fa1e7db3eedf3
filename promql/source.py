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

    Where these are some rows of a larger block that other queries use too, `part` says so: range functions are then evaluated once,
    over all of it.
    """

    labels: list[Labels]
    times: Ints
    values: Floats
    present: Bools | None = None
    part: "Part | None" = None


@dataclass
class Part:
    """Which rows of which block; `results` are those of range functions over all its series, of whoever asked first."""

    whole: Block
    rows: Ints
    results: dict[Hashable, tuple[Floats, Bools] | None]


class Source(Protocol):
    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """All series that match, with their samples from `start_ms` to `end_ms`; more on either side does no harm."""
        ...


class Snapshots(Source, Protocol):
    """A source that can hold one state of its data over several selections; a query's are made within one."""

    def snapshot(self) -> AbstractContextManager[Source]:
        """A source of the same kind for that state, for as long as it is entered."""
        ...


S = TypeVar("S", bound=Source)


def snapshot_of(source: S) -> AbstractContextManager[S]:
    """One state of the source's data, where it can hold one; else the source as it is."""
    snapshot: Callable[[], AbstractContextManager[S]] | None = getattr(source, "snapshot", None)
    return nullcontext(source) if snapshot is None else snapshot()


def is_stale(values: Floats) -> Bools:
    """Where the samples are stale marks."""
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
