"""Functions over a range that look at change: rate, increase, delta and their kin."""

import numpy as np

from promql.labels import METRIC_NAME, Labels, derive
from promql.values import Bools, Floats
from promql.windows import Windows

# A series whose first or last sample is farther from the window's edge than this many sample distances began or
# ended inside the window.
EDGE_TOLERANCE = 1.1
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")
_COUNTER_TYPES = ("counter", "histogram")


def possible_gauges(labels: list[Labels]) -> list[str]:
    """What to say of series that may not be counters: by the type that they carry, else by the endings of their
    names."""
    return derive(labels, "possible gauges", lambda: _possible_gauges(labels))


def _possible_gauges(labels: list[Labels]) -> list[str]:
    notes = []
    for name, kind in dict.fromkeys((row.get(METRIC_NAME, ""), row.get("__type__", "")) for row in labels):
        if kind and kind not in _COUNTER_TYPES:
            wanted = " or ".join(f'"{one}"' for one in _COUNTER_TYPES)
            notes.append(
                f'metric might not be a counter, __type__ label is not set to {wanted}, got "{kind}": "{name}"'
            )
        elif name and not kind and not name.endswith(_COUNTER_ENDINGS):
            endings = "/".join(_COUNTER_ENDINGS)
            notes.append(f'metric might not be a counter, name does not end in {endings}: "{name}"')
    return notes


def rate(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    change, present = _extrapolated(windows, is_counter=True)
    return change / (windows.range_ms / 1000), present


def increase(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _extrapolated(windows, is_counter=True)


def delta(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _extrapolated(windows, is_counter=False)


def _extrapolated(windows: Windows, is_counter: bool) -> tuple[Floats, Bools]:
    """The change over each window, stretched from the samples it holds to the whole window as Prometheus does."""
    last = windows.stop - 1
    first_value = windows.value_at(windows.first)
    change = windows.value_at(last) - first_value
    if is_counter:
        change = change + lost_by_resets(windows)
    first_time, last_time = windows.time_at(windows.first), windows.time_at(last)
    to_start = (first_time - (windows.ends - windows.range_ms)) / 1000
    to_end = (windows.ends - last_time) / 1000
    sampled = (last_time - first_time) / 1000
    apart = sampled / (windows.stop - windows.first - 1)
    to_start = np.where(to_start >= apart * EDGE_TOLERANCE, apart / 2, to_start)
    to_end = np.where(to_end >= apart * EDGE_TOLERANCE, apart / 2, to_end)
    if is_counter:
        to_zero = np.where((change > 0) & (first_value >= 0), sampled * (first_value / change), to_start)
        to_start = np.where(to_zero < to_start, to_zero, to_start)
    change = change * ((sampled + to_start + to_end) / sampled)
    return change, windows.counts >= 2


def lost_by_resets(windows: Windows) -> Floats | float:
    """What a counter had counted before each reset inside the window."""
    values = windows.values
    fell = values[:, 1:] < values[:, :-1]
    rows = np.flatnonzero(fell.any(axis=1))
    if not rows.size:
        return 0.0
    before = np.zeros((rows.size, values.shape[1]))
    before[:, 1:] = np.where(fell[rows], values[rows, :-1], 0.0)
    lost = np.zeros((len(windows.labels), windows.ends.size))
    lost[rows] = windows.only(rows, before).sums(skip_first=True)
    return lost


def irate(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _last_two(windows, is_rate=True)


def idelta(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    return _last_two(windows, is_rate=False)


def _last_two(windows: Windows, is_rate: bool) -> tuple[Floats, Bools]:
    last, before = windows.value_at(windows.stop - 1), windows.value_at(windows.stop - 2)
    change = np.where(last < before, last, last - before) if is_rate else last - before
    if is_rate:
        change = change / ((windows.time_at(windows.stop - 1) - windows.time_at(windows.stop - 2)) / 1000)
    return change, windows.counts >= 2


def resets(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    values = windows.values
    return _count_pairs(windows, values[:, 1:] < values[:, :-1])


def changes(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    values = windows.values
    both_nan = np.isnan(values[:, 1:]) & np.isnan(values[:, :-1])
    return _count_pairs(windows, (values[:, 1:] != values[:, :-1]) & ~both_nan)


def _count_pairs(windows: Windows, flags: Bools) -> tuple[Floats, Bools]:
    """How many neighbours inside each window carry the flag."""
    per_sample = np.zeros(windows.values.shape)
    per_sample[:, 1:] = flags
    return windows.sums(per_sample, skip_first=True), windows.counts >= 1
