"""Functions over a range that look at the samples as a set: *_over_time."""

from collections.abc import Callable

import numpy as np

from promql.functions.quantile import quantile_last_axis
from promql.sums import sum_last_axis, take
from promql.values import Bools, Floats, Ints
from promql.windows import WindowBatch, Windows


def count_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return windows.counts.astype(np.float64), windows.counts >= 1


def present_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return np.ones(windows.counts.shape), windows.counts >= 1


def first_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return windows.value_at(windows.first), windows.counts >= 1


def last_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return windows.value_at(windows.stop - 1), windows.counts >= 1


def ts_of_first_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _seconds(windows, windows.first), windows.counts >= 1


def ts_of_last_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _seconds(windows, windows.stop - 1), windows.counts >= 1


def _seconds(windows: Windows, index: Ints) -> Floats:
    return np.broadcast_to(windows.time_at(index) / 1000, windows.counts.shape)


def sum_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return windows.sums(), windows.counts >= 1


def avg_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    total = windows.sums()
    average = total / windows.counts
    overflowed = np.isinf(total).any(axis=1)
    if overflowed.any():
        rows = np.flatnonzero(overflowed & np.isfinite(windows.values).any(axis=1))
        average[rows] = _averages_of_parts(windows, rows)
    return average, windows.counts >= 1


def _averages_of_parts(windows: Windows, rows: Ints) -> Floats:
    """The average as a sum of quotients, which cannot overflow where the values themselves do not."""

    def average(batch: WindowBatch) -> Floats:
        counts = batch.mask.sum(axis=2)
        return sum_last_axis(batch.values / counts[..., None], batch.mask)

    return window_by_window(windows.only(rows, windows.values[rows]), average)


def max_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _extreme(windows, np.fmax), windows.counts >= 1


def min_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _extreme(windows, np.fmin), windows.counts >= 1


def _extreme(windows: Windows, of_two: np.ufunc) -> Floats:
    """The extreme of every window from a sparse table: each window is two overlapping power-of-two spans."""
    lengths = np.maximum(windows.stop - windows.first, 1)
    levels = np.frexp(lengths.astype(np.float64))[1] - 1
    table = windows.values
    result = np.empty((len(windows.labels), windows.ends.size))
    for level in range(int(levels.max(initial=0)) + 1):
        span = 1 << level
        last = table.shape[1] - 1
        start = np.clip(windows.first, 0, last)
        end = np.clip(windows.stop - span, 0, last)
        np.copyto(result, of_two(take(table, start), take(table, end)), where=levels == level)
        if table.shape[1] <= span:
            break
        table = of_two(table[:, :-span], table[:, span:])
    return result


def ts_of_max_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _time_of_extreme(windows, 1.0)


def ts_of_min_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _time_of_extreme(windows, -1.0)


def _time_of_extreme(windows: Windows, sign: float) -> tuple[Floats, Bools]:
    """The time (s) of the last sample that is the extreme of its window."""

    def compute(batch: WindowBatch) -> Floats:
        # NaN loses against every number, and what is not in the window against NaN.
        known = np.where(np.isnan(batch.values), -np.inf, batch.values * sign)
        best = np.where(batch.mask, known, -np.inf).max(axis=2, keepdims=True)
        hit = batch.mask & (known == best)
        last = hit.shape[2] - 1 - hit[:, :, ::-1].argmax(axis=2)
        times: Floats = np.take_along_axis(batch.times, last[..., None], axis=2)[..., 0] / 1000
        return times

    return window_by_window(windows, compute), windows.counts >= 1


def stddev_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    variance, present = stdvar_over_time(windows, args)
    return np.sqrt(variance), present


def stdvar_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    def compute(batch: WindowBatch) -> Floats:
        counts = batch.mask.sum(axis=2)
        # Counted from the window's first value: equal values have exactly 0.
        moved = batch.values - batch.values[..., :1]
        mean = sum_last_axis(moved, batch.mask) / counts
        return np.asarray(sum_last_axis((moved - mean[..., None]) ** 2, batch.mask) / counts)

    return window_by_window(windows, compute), windows.counts >= 1


def quantile_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    (quantile,) = args

    def compute(batch: WindowBatch) -> Floats:
        return quantile_last_axis(batch.values, batch.mask, quantile[batch.steps][None, :])

    return window_by_window(windows, compute), windows.counts >= 1


def mad_over_time(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    def compute(batch: WindowBatch) -> Floats:
        half = np.full((1, 1), 0.5)
        median = quantile_last_axis(batch.values, batch.mask, half)
        return quantile_last_axis(np.abs(batch.values - median[..., None]), batch.mask, half)

    return window_by_window(windows, compute), windows.counts >= 1


def window_by_window(windows: Windows, compute: Callable[[WindowBatch], Floats]) -> Floats:
    """Apply a computation that needs whole windows at hand."""
    result = np.zeros((len(windows.labels), windows.ends.size))
    for batch in windows.batches():
        result[batch.rows, batch.steps] = compute(batch)
    return result
