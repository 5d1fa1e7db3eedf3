"""Range vectors: for every step, the window of samples of each series."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from promql.labels import Labels
from promql.source import Block, is_stale
from promql.sums import PrefixSums, sum_last_axis, take
from promql.values import Bools, Floats, Ints

# Cells of a window-by-window copy held at once; keeps the copies in cache and memory flat.
_BATCH_CELLS = 2_000_000


@dataclass
class WindowBatch:
    """Some rows and steps with their windows laid out: values, times and mask are [rows, steps, window]."""

    rows: slice
    steps: slice
    values: Floats
    times: Ints
    mask: Bools


@dataclass
class Windows:
    """Series [s] with their samples, and per step the window [first, stop) of sample indexes.

    `times` (ms) is [1 or s, n], `values` [s, n], `first` and `stop` [1 or s, t]: one row where all series share it.
    `at` are the evaluation times, `ends` where the windows end: the same but for offset and @.
    """

    labels: list[Labels]
    times: Ints
    values: Floats
    first: Ints
    stop: Ints
    at: Ints
    ends: Ints
    range_ms: int

    @property
    def counts(self) -> Ints:
        """Samples per window, [s, t]."""
        return np.broadcast_to(self.stop - self.first, (len(self.labels), self.ends.size))

    def value_at(self, index: Ints) -> Floats:
        """Values by sample index [1 or s, t]; indexes of empty windows are clipped to some sample."""
        return np.asarray(take(self.values, _clip(index, self.values.shape[1] - 1)))

    def time_at(self, index: Ints) -> Ints:
        return np.asarray(take(self.times, _clip(index, self.times.shape[1] - 1)))

    def sums(self, samples: Floats | None = None, skip_first: bool = False) -> Floats:
        """The sum over each window of the values, or of other numbers per sample [s, n]."""
        numbers = self.values if samples is None else samples
        first = np.minimum(self.first + 1, self.stop) if skip_first else self.first
        prefix = PrefixSums(numbers)
        total = prefix.between(first, self.stop)
        doubtful = np.flatnonzero(prefix.doubtful)
        if doubtful.size:
            exact = self.only(doubtful, numbers[doubtful], first)
            for batch in exact.batches():
                total[doubtful[batch.rows], batch.steps] = sum_last_axis(batch.values, batch.mask)
        return total

    def only(self, rows: Ints, values: Floats, first: Ints | None = None) -> "Windows":
        """The windows of some rows, over other numbers per sample."""
        starts = self.first if first is None else first
        return Windows(
            labels=[self.labels[row] for row in rows],
            times=self.times if self.times.shape[0] == 1 else self.times[rows],
            values=values,
            first=starts if starts.shape[0] == 1 else starts[rows],
            stop=self.stop if self.stop.shape[0] == 1 else self.stop[rows],
            at=self.at,
            ends=self.ends,
            range_ms=self.range_ms,
        )

    def batches(self) -> Iterator[WindowBatch]:
        """All windows laid out, some at a time."""
        widest = int((self.stop - self.first).max(initial=0))
        if widest <= 0:
            return
        rows, steps = len(self.labels), self.ends.size
        step_size = max(1, min(steps, _BATCH_CELLS // widest))
        row_size = max(1, _BATCH_CELLS // (widest * step_size))
        for row in range(0, rows, row_size):
            for step in range(0, steps, step_size):
                yield self._batch(slice(row, row + row_size), slice(step, step + step_size))

    def _batch(self, rows: slice, steps: slice) -> WindowBatch:
        first = (self.first if self.first.shape[0] == 1 else self.first[rows])[:, steps]
        stop = (self.stop if self.stop.shape[0] == 1 else self.stop[rows])[:, steps]
        width = max(1, int((stop - first).max(initial=0)))
        index = first[:, :, None] + np.arange(width)
        mask = index < stop[:, :, None]
        index = np.minimum(index, self.values.shape[1] - 1)
        values = self.values[rows]
        flat = index.reshape(index.shape[0], -1)
        laid = take(values, flat).reshape(values.shape[0], *index.shape[1:])
        times = self.times if self.times.shape[0] == 1 else self.times[rows]
        laid_times = take(times, flat).reshape(-1, *index.shape[1:])
        shape = laid.shape
        return WindowBatch(rows, steps, laid, np.broadcast_to(laid_times, shape), np.broadcast_to(mask, shape))


def _clip(index: Ints, last: int) -> Ints:
    return np.minimum(np.maximum(index, 0), last)


def window_block(block: Block, at: Ints, ends: Ints, range_ms: int) -> Windows | None:
    """The windows of one block, (end - range, end] each; None where no series has a sample that counts."""
    if not block.labels or not block.times.size:
        return None
    first = np.searchsorted(block.times, ends - range_ms, side="right")[None, :]
    stop = np.searchsorted(block.times, ends, side="right")[None, :]
    times, values, labels = block.times[None, :], block.values, block.labels
    keep = ~is_stale(values)
    if block.present is not None:
        keep &= block.present
    if not keep.all():
        some = np.flatnonzero(keep.any(axis=1))
        if not some.size:
            return None
        if some.size < len(labels):
            labels, values, keep = [labels[row] for row in some], values[some], keep[some]
        seen = np.zeros((keep.shape[0], keep.shape[1] + 1), dtype=np.int64)
        np.cumsum(keep, axis=1, out=seen[:, 1:])
        begin, end = keep.argmax(axis=1)[:, None], keep.shape[1] - keep[:, ::-1].argmax(axis=1)[:, None]
        if (end - begin == seen[:, -1:]).all():
            # Each series is one unbroken run: narrow the windows, share the grid.
            first, stop = np.clip(first, begin, end), np.clip(stop, begin, end)
        else:
            times, values = _pack(block.times, values, keep, seen)
            first, stop = seen[:, first[0]], seen[:, stop[0]]
    return Windows(labels, times, values, first, stop, at, ends, range_ms)


def _pack(times: Ints, values: Floats, keep: Bools, seen: Ints) -> tuple[Ints, Floats]:
    """Move the samples that count to the left of each row."""
    rows, columns = np.nonzero(keep)
    places = seen[rows, columns]
    width = int(seen[:, -1].max())
    kept_times = np.zeros((keep.shape[0], width), dtype=np.int64)
    kept = np.zeros((keep.shape[0], width))
    kept_times[rows, places] = times[columns]
    kept[rows, places] = values[rows, columns]
    return kept_times, kept
