"""Anchored and smoothed ranges, computed for all series and steps at once, against the same computed sample by
sample."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

import promql
from promql.parser.signatures import ANCHORABLE, SMOOTHABLE

LOOKBACK = 60_000
Sample = tuple[int, float]


def make_series(seed: int) -> dict[str, list[Sample]]:
    """Series with gaps, resets and stale marks, some on one grid and some on their own."""
    rng = np.random.default_rng(seed)
    series = {}
    for name in "abcde":
        grid = np.arange(0, 600_000, 10_000) if name in "abc" else np.sort(rng.choice(600_000, 40, replace=False))
        times = grid[rng.random(grid.size) > (0.5 if name == "a" else 0.2)]
        values = np.where(rng.random(times.size) < 0.15, 0, rng.integers(0, 9, times.size)).cumsum().astype(float)
        values[rng.integers(times.size // 2, times.size) :] -= values.max() / 2
        if name == "b":
            values[rng.integers(0, times.size, 3)] = promql.STALE_NAN
        series[name] = list(zip(times.tolist(), values.tolist(), strict=True))
    return series


def is_stale(value: float) -> bool:
    return np.float64(value).view(np.uint64) == np.float64(promql.STALE_NAN).view(np.uint64)


def one_by_one(samples: Sequence[Sample], function: str, extension: str, at: int, range_ms: int) -> float | None:
    """The value of a function at one time, None for none."""
    start, behind = at - range_ms, LOOKBACK if extension == "smoothed" else 0
    seen = [(t, v) for t, v in samples if start - LOOKBACK < t <= at + behind and not is_stale(v)]
    before = [place for place, (t, _) in enumerate(seen[:-1]) if t <= start]
    first = before[-1] if before else 0
    last = len(seen) - 1
    if extension == "smoothed":
        last = next((place for place, (t, _) in enumerate(seen) if t >= at), last)
    if not seen:
        return None
    if function in {"changes", "resets"}:
        values = [v for _, v in seen[first:]]
        pairs = itertools.pairwise(values)
        return float(sum(b < a if function == "resets" else b != a for a, b in pairs))
    if seen[last][0] <= start or seen[first][0] > at:
        return None
    counter = function != "delta"
    left, right = seen[first][1], seen[last][1]
    if extension == "smoothed":
        if seen[first][0] < start:
            left = on_the_line(seen[first], seen[first + 1], start, counter, is_left=True)
        if seen[last][0] > at and last > 0:
            right = on_the_line(seen[last - 1], seen[last], at, counter, is_left=False)
    change = right - left
    if counter:
        inner = [v for t, v in seen[first : last + 1] if start < t < at]
        path = [left, *inner, right]
        change += sum(a for a, b in itertools.pairwise(path) if b < a)
    return change / (range_ms / 1000) if function == "rate" else change


def on_the_line(one: Sample, other: Sample, at: int, counter: bool, *, is_left: bool) -> float:
    (t1, v1), (t2, v2) = one, other
    if counter and v2 < v1:
        v1, v2 = (0.0, v2) if is_left else (v1, v1 + v2)
    return v1 + (v2 - v1) * (at - t1) / (t2 - t1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("function", "extension"),
    [(function, "anchored") for function in ANCHORABLE] + [(function, "smoothed") for function in SMOOTHABLE],
)
def test_a_function_over_an_extended_range_is_that_of_each_window(function: str, extension: str, seed: int) -> None:
    series = make_series(seed)
    source = promql.MemorySource()
    for name, samples in series.items():
        source.add({"a": name, "__name__": "x_total"}, [t for t, _ in samples], [v for _, v in samples])
    for range_ms in (10_000, 45_000, 200_000):
        query = promql.parse(f"{function}(x_total[{range_ms}ms] {extension} offset 5s)", experimental=True)
        result = promql.range(query, source, 0, 700_000, 7_000, lookback_ms=LOOKBACK)
        rows = {labels["a"]: row for row, labels in enumerate(result.labels)}
        for name, samples in series.items():
            for column, at in enumerate(result.times.tolist()):
                wanted = one_by_one(samples, function, extension, at - 5_000, range_ms)
                there = name in rows and bool(result.present[rows[name], column])
                assert there == (wanted is not None), (name, at)
                if wanted is not None:
                    assert math.isclose(result.values[rows[name], column], wanted, rel_tol=1e-9, abs_tol=1e-9), (
                        name,
                        at,
                    )


def test_a_smoothed_selector_lies_between_its_samples() -> None:
    series = make_series(9)
    source = promql.MemorySource()
    for name, samples in series.items():
        source.add({"a": name, "__name__": "x"}, [t for t, _ in samples], [v for _, v in samples])
    result = promql.range(
        promql.parse("x smoothed", experimental=True), source, 0, 700_000, 3_000, lookback_ms=LOOKBACK
    )
    for row, labels in enumerate(result.labels):
        for column, at in enumerate(result.times.tolist()):
            near = [(t, v) for t, v in series[labels["a"]] if at - LOOKBACK < t <= at + LOOKBACK and not is_stale(v)]
            before, after = [one for one in near if one[0] <= at], [one for one in near if one[0] >= at]
            assert result.present[row, column] == bool(near)
            if near:
                wanted = (before or after)[-1 if before else 0][1]
                if before and after and before[-1][0] < after[0][0]:
                    wanted = on_the_line(before[-1], after[0], at, False, is_left=True)
                assert math.isclose(result.values[row, column], wanted, rel_tol=1e-9, abs_tol=1e-9)
