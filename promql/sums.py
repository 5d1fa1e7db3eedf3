"""Sums that keep what plain floating point addition loses (Kahan, Neumaier), as Prometheus's do."""

from math import isinf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from promql.values import Bools, Floats, Ints

# Prefix sums carry about 106 bits: above this ratio of largest prefix to smallest value, windows are summed anew.
_MAX_DYNAMIC_RANGE = 1e14

_FEW = 64

Number = TypeVar("Number", np.float64, np.int64)


def add_compensated(total: Floats, lost: Floats, value: Floats) -> tuple[Floats, Floats]:
    """One step of Neumaier's sum: the new total and the new sum of what rounding lost."""
    new = total + value
    step = np.where(np.abs(total) >= np.abs(value), (total - new) + value, (value - new) + total)
    return new, np.where(np.isinf(new), 0.0, lost + step)


def finish(total: Floats, lost: Floats) -> Floats:
    return np.where(np.isinf(total), total, total + lost)


def sum_last_axis(values: Floats, mask: Bools) -> Floats:
    """Neumaier's sum over the last axis of the values under the mask."""
    clean = np.where(mask, values, 0.0)
    total = np.zeros(clean.shape[:-1])
    lost = np.zeros(clean.shape[:-1])
    for column in range(clean.shape[-1]):
        total, lost = add_compensated(total, lost, clean[..., column])
    return finish(total, lost)


def sum_groups(values: Floats, present: Bools, group_of: Ints, ranks: list[Ints]) -> Floats:
    """Neumaier's sum of the rows [s, t] of each group: [groups, t]. Rows of one rank (see rows_by_rank) are added at
    once."""
    groups = ranks[0].size
    if values.size <= _FEW:
        return _sum_few(np.where(present, values, 0.0), group_of, groups)
    total = np.zeros((groups, values.shape[1]))
    lost = np.zeros_like(total)
    clean = values if present.all() else np.where(present, values, 0.0)
    for rows in ranks:
        target = group_of[rows]
        if rows.size == groups and np.array_equal(target, np.arange(groups)):
            total, lost = add_compensated(total, lost, clean[rows])
        else:
            total[target], lost[target] = add_compensated(total[target], lost[target], clean[rows])
    return finish(total, lost)


def _sum_few(values: Floats, group_of: Ints, groups: int) -> Floats:
    """The same in Python, which is faster for a few values than the calls into numpy are."""
    total = [[0.0] * values.shape[1] for _ in range(groups)]
    lost = [[0.0] * values.shape[1] for _ in range(groups)]
    for row, group in zip(values.tolist(), group_of.tolist(), strict=True):
        sums, losses = total[group], lost[group]
        for step, value in enumerate(row):
            old = sums[step]
            sums[step] = new = old + value
            larger, smaller = (old, value) if abs(old) >= abs(value) else (value, old)
            losses[step] = 0.0 if isinf(new) else losses[step] + ((larger - new) + smaller)
    return finish(np.array(total), np.array(lost))


def by_group(group_of: Ints) -> tuple[Ints, Ints]:
    """The rows ordered by group, and where each group starts among them."""
    order = np.argsort(group_of, kind="stable")
    ordered = group_of[order]
    return order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


def rows_by_rank(group_of: Ints) -> list[Ints]:
    """The first row of every group, then the second of those that have one, and so on."""
    if not group_of.size or group_of.size == int(group_of.max()) + 1:
        return [np.arange(group_of.size)]
    order, starts = by_group(group_of)
    ordered = group_of[order]
    sizes = np.diff(starts, append=ordered.size)
    rank = np.arange(ordered.size) - np.repeat(starts, sizes)
    by_rank = np.argsort(rank, kind="stable")
    return np.split(order[by_rank], np.cumsum(np.bincount(rank))[:-1])


class PrefixSums:
    """Compensated prefix sums of rows [s, n], from which the sum of any window follows by two look-ups.

    `doubtful` marks rows whose values differ so much in size, or overflow, that a window must be summed by itself.
    """

    def __init__(self, values: Floats) -> None:
        finite = np.isfinite(values)
        self._odd = (
            None if finite.all() else [_prefix_counts(odd(values)) for odd in (np.isnan, np.isposinf, np.isneginf)]
        )
        clean = values if self._odd is None else np.where(finite, values, 0.0)
        self._high = _prefix(clean)
        before, after = self._high[:, :-1], self._high[:, 1:]
        gained = after - before
        self._low = _prefix((before - (after - gained)) + (clean - gained))
        self.doubtful = _doubtful(clean, self._high)

    def between(self, first: Ints, stop: Ints) -> Floats:
        """The sums of [first, stop): index arrays [1 or s, t]."""
        high_stop, high_first = take(self._high, stop), take(self._high, first)
        total = high_stop - high_first
        gained = total - high_stop
        error = (high_stop - (total - gained)) - (high_first + gained)
        total = total + (error + (take(self._low, stop) - take(self._low, first)))
        if self._odd is None:
            return total
        nans, up, down = (take(counts, stop) - take(counts, first) > 0 for counts in self._odd)
        total = np.where(up, np.inf, np.where(down, -np.inf, total))
        return np.where(nans | (up & down), np.nan, total)


def take(matrix: NDArray[Number], index: Ints) -> NDArray[Number]:
    """matrix[s, index[s, t]], where the index may be one row for all."""
    picked: NDArray[Number]
    if index.shape[0] == 1:
        picked = matrix[:, index[0]]
    elif matrix.shape[0] == 1:
        picked = matrix[0][index]
    else:
        picked = np.take_along_axis(matrix, index, axis=1)
    return picked


def _prefix(values: Floats) -> Floats:
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _prefix_counts(flags: Bools) -> Ints:
    counts = np.zeros((flags.shape[0], flags.shape[1] + 1), dtype=np.int64)
    np.cumsum(flags, axis=1, out=counts[:, 1:])
    return counts


def _doubtful(clean: Floats, prefix: Floats) -> Bools:
    largest = np.abs(prefix).max(axis=1, initial=0.0)
    magnitudes = np.abs(clean)
    smallest = np.where(magnitudes > 0, magnitudes, np.inf).min(axis=1, initial=np.inf)
    doubtful: Bools = ~np.isfinite(largest) | (largest > smallest * _MAX_DYNAMIC_RANGE)
    return doubtful
