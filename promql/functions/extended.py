"""Functions over anchored and smoothed ranges.

An anchored range begins at the last sample before it, where there is one. A smoothed range has the values that lie on
the line between the samples around each of its edges. Neither extrapolates.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from promql.functions import counters
from promql.ranges import Extended
from promql.values import Bools, Floats, Ints
from promql.windows import Windows

ExtendedFunction = Callable[[Extended], tuple[Floats, Bools]]


def rate(extended: Extended) -> tuple[Floats, Bools]:
    change, present = _change(extended, is_counter=True)
    return change / (extended.inner.range_ms / 1000), present


def increase(extended: Extended) -> tuple[Floats, Bools]:
    return _change(extended, is_counter=True)


def delta(extended: Extended) -> tuple[Floats, Bools]:
    return _change(extended, is_counter=False)


def changes(extended: Extended) -> tuple[Floats, Bools]:
    return counters.changes(_anchored(extended), [])


def resets(extended: Extended) -> tuple[Floats, Bools]:
    return counters.resets(_anchored(extended), [])


def _anchored(extended: Extended) -> Windows:
    return replace(extended.outer, first=extended.first)


def _change(extended: Extended, *, is_counter: bool) -> tuple[Floats, Bools]:
    """The change between the edges of the range, plus what a counter lost by resets."""
    outer, first, last = extended.outer, extended.first, extended.last
    starts, ends = extended.inner.ends - extended.inner.range_ms, extended.inner.ends
    left, right = outer.value_at(first), outer.value_at(last)
    if extended.smoothed:
        after_first, before_last = np.minimum(first + 1, outer.stop - 1), np.maximum(last - 1, outer.first)
        early, late = outer.time_at(first) < starts, (outer.time_at(last) > ends) & (last > outer.first)
        left = np.where(early, _between(outer, first, after_first, starts, is_counter, at_start=True), left)
        right = np.where(late, _between(outer, before_last, last, ends, is_counter, at_start=False), right)
    change = right - left
    if is_counter:
        from_inside = np.minimum(np.where(outer.time_at(first) <= starts, first + 1, first), outer.stop)
        to_inside = np.where(outer.time_at(last) >= ends, last - 1, last)
        change = change + _lost_by_resets(outer, left, right, from_inside, to_inside + 1)
    present = (outer.counts >= 1) & (outer.time_at(last) > starts) & (outer.time_at(first) <= ends)
    return change, np.broadcast_to(present, outer.counts.shape)


def _between(windows: Windows, one: Ints, other: Ints, times: Ints, is_counter: bool, *, at_start: bool) -> Floats:
    """The value at a time on the line between two samples; a counter that was reset between them began anew at 0."""
    before, after = windows.value_at(one), windows.value_at(other)
    if is_counter:
        fell = after < before
        before, after = np.where(fell & at_start, 0.0, before), np.where(fell & (not at_start), after + before, after)
    from_time, to_time = windows.time_at(one), windows.time_at(other)
    return np.asarray(before + (after - before) * (times - from_time) / (to_time - from_time))


def _lost_by_resets(windows: Windows, left: Floats, right: Floats, first: Ints, stop: Ints) -> Floats:
    """What a counter had counted before each reset between the edges' values, with the samples [first, stop) between
    them."""
    inside = replace(windows, first=first, stop=np.maximum(first, stop))
    some = inside.counts >= 1
    begin, end = inside.value_at(first), inside.value_at(inside.stop - 1)
    at_start = np.where(begin < left, left, 0.0)
    at_end = np.where(right < end, end, 0.0)
    lost = at_start + counters.lost_by_resets(inside) + at_end
    return np.where(some, lost, np.where(right < left, left, 0.0))
