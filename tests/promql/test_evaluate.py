"""What no case file can say: limits, what a source is asked for, raw samples, grids with holes."""

from collections.abc import Sequence

import numpy as np
import pytest

import promql

STEP = 15_000


class RecordingSource:
    """Remembers what it was asked for."""

    def __init__(self, blocks: list[promql.Block]) -> None:
        self.blocks = blocks
        self.asked: list[tuple[tuple[promql.Matcher, ...], int, int, promql.Hints]] = []

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        self.asked.append((tuple(matchers), start_ms, end_ms, hints))
        return self.blocks


def dense(series: int, samples: int) -> promql.Block:
    times = np.arange(samples, dtype=np.int64) * STEP
    values = np.arange(series)[:, None] + np.arange(samples, dtype=np.float64)[None, :]
    return promql.Block([{"__name__": "m_total", "i": str(row)} for row in range(series)], times, values)


def test_a_selector_used_twice_is_fetched_once() -> None:
    source = RecordingSource([dense(1, 10)])
    promql.range("m_total / m_total + m_total", source, 0, 60_000, STEP)
    assert len(source.asked) == 1


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("m", 700_000, 2_000_000),
        ("m[10m]", 400_000, 2_000_000),
        ("m offset 5m", 400_000, 1_700_000),
        ("m offset -5m", 1_000_000, 2_300_000),
        ("m @ 500", 200_000, 500_000),
        ("m @ start()", 700_000, 1_000_000),
        ("m[1m] @ end() offset 1m", 1_880_000, 1_940_000),
        ("rate(m[1m])[10m:1m]", 360_000, 1_980_000),
        ("m[10m:1m] offset 1m", 60_000, 1_920_000),
    ],
)
def test_a_source_is_asked_for_the_samples_that_count_and_no_others(query: str, start: int, end: int) -> None:
    source = RecordingSource([])
    is_range = promql.parse(query).type == "matrix"
    promql.range(f"last_over_time({query})" if is_range else query, source, 1_000_000, 2_000_000, 10_000)
    ((_, asked_start, asked_end, _),) = source.asked
    # A subquery looks back from its own times, which are multiples of its step.
    assert (asked_start, asked_end) == (start, end)


def test_a_source_learns_what_the_samples_are_for() -> None:
    source = RecordingSource([])
    promql.range("sum by (a, b) (rate(m_total[5m]))", source, 0, 600_000, 60_000)
    promql.instant("max without (c) (m)", source, 0)
    assert [hints for *_, hints in source.asked] == [
        promql.Hints(60_000, 300_000, "rate", ("a", "b"), True),
        promql.Hints(0, 0, "", ("c",), False),
    ]


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (promql.Limits(max_samples=50), "max_samples"),
        (promql.Limits(max_series=3), "max_series"),
        (promql.Limits(max_steps=2), "max_steps"),
        (promql.Limits(max_depth=2), "max_depth"),
        (promql.Limits(timeout_seconds=-1), "timeout_seconds"),
    ],
)
def test_each_limit_has_its_own_error(limits: promql.Limits, field: str) -> None:
    source = RecordingSource([dense(4, 20)])
    with pytest.raises(promql.LimitError) as caught:
        promql.range("sum(rate(m_total[1m]))", source, 0, 300_000, 60_000, limits=limits)
    assert caught.value.limit == field


def test_a_subquery_with_a_tiny_step_meets_the_sample_limit() -> None:
    with pytest.raises(promql.LimitError):
        promql.instant("sum_over_time(m_total[1y:1ms])", RecordingSource([dense(1, 3)]), 0)


@pytest.mark.parametrize(
    "query",
    [
        'count_values("v", m_total * 0 + on () group_left () (time() + m_total{i="0"}))',
        'histogram_quantiles(label_replace(m_total, "le", "1", "", ""), "q", time() / 1e9)',
    ],
)
def test_what_multiplies_series_meets_the_sample_limit(query: str) -> None:
    source = promql.MemorySource()
    block = dense(30, 400)
    for labels, values in zip(block.labels, block.values, strict=True):
        source.add(labels, block.times, values * (1 + int(labels["i"])))
    parsed = promql.parse(query, experimental=True)
    with pytest.raises(promql.LimitError):
        promql.range(parsed, source, 0, 6_000_000, STEP, limits=promql.Limits(max_samples=40_000))


def test_pairs_of_many_series_that_take_turns_meet_the_sample_limit() -> None:
    source = promql.MemorySource()
    times = np.arange(60) * 600_000
    for index, time in enumerate(times):
        source.add({"__name__": "m", "i": str(index)}, times, times)
        source.add({"__name__": "turn", "i": str(index)}, [time], [1])
    query = "m * on () group_left () turn"
    with pytest.raises(promql.LimitError):
        promql.range(query, source, 0, 36_000_000, 600_000, limits=promql.Limits(max_samples=40_000))
    assert len(promql.range(query, source, 0, 36_000_000, 600_000).labels) == 60


def test_a_label_value_cannot_be_doubled_without_end() -> None:
    query = 'label_replace(vector(1), "a", "x", "", "")'
    for _ in range(20):
        query = f'label_replace({query}, "a", "$1$1", "a", "(.*)")'
    with pytest.raises(promql.EvalError, match="label value"):
        promql.instant(query, promql.MemorySource(), 0)


@pytest.mark.parametrize("at", [10**30, -(10**30), 2**62])
def test_a_time_beyond_reason_is_refused(at: int) -> None:
    with pytest.raises(promql.EvalError):
        promql.instant("x", promql.MemorySource(), at)


@pytest.mark.parametrize(("start", "end", "step"), [(0, 10, 0), (0, 10, -1), (10, 0, 1)])
def test_impossible_steps_are_refused(start: int, end: int, step: int) -> None:
    with pytest.raises(promql.EvalError):
        promql.range("1", promql.MemorySource(), start, end, step)


def test_the_raw_samples_of_a_range_selector_share_the_union_of_times() -> None:
    source = promql.MemorySource()
    source.add({"__name__": "m", "i": "1"}, [1000, 3000], [1, 3])
    source.add({"__name__": "m", "i": "2"}, [2000], [2])
    result = promql.instant("m[1m]", source, 5000)
    assert result.type == "matrix"
    assert result.times.tolist() == [1000, 2000, 3000]
    assert result.present.tolist() == [[True, False, True], [False, True, False]]
    assert result.values[result.present].tolist() == [1, 3, 2]


def test_a_later_sample_replaces_one_of_the_same_time() -> None:
    source = promql.MemorySource()
    source.add({"__name__": "m"}, [0, 1000], [1, 2])
    source.add({"__name__": "m"}, [1000, 500], [3, 4])
    assert promql.instant("m[1m]", source, 5000).values.tolist() == [[1, 4, 3]]


def test_memory_refuses_samples_of_two_lengths() -> None:
    with pytest.raises(promql.PromQLError):
        promql.MemorySource().add({"__name__": "m"}, [0, 1], [1])


RANGE_FUNCTIONS = [
    "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "avg_over_time", "sum_over_time",
    "min_over_time", "max_over_time", "count_over_time", "last_over_time", "first_over_time", "stddev_over_time",
    "mad_over_time", "ts_of_max_over_time", "ts_of_first_over_time", "present_over_time",
]  # fmt: skip


def with_holes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series that are whole, that begin late, end early, have holes, or are not there."""
    generator = np.random.default_rng(3)
    times = np.arange(60, dtype=np.int64) * STEP
    values = generator.integers(0, 50, (6, 60)).astype(np.float64)
    present = np.ones((6, 60), dtype=bool)
    present[1, :20], present[2, 30:], present[4] = False, False, False
    present[3] = generator.random(60) < 0.5
    values[5, 10] = promql.STALE_NAN
    return times, values, present


@pytest.mark.parametrize("function", RANGE_FUNCTIONS)
@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 1, 2, 3, 4, 5], [0], [4], [5]])
def test_a_block_with_holes_answers_as_its_series_one_by_one(function: str, rows: list[int]) -> None:
    times, values, present = with_holes()
    labels = [{"__name__": "m_total", "i": str(row)} for row in rows]
    block = promql.Block(labels, times, values[rows], present[rows])
    alone = promql.MemorySource()
    for row, label in zip(rows, labels, strict=True):
        alone.add(label, times[present[row]], values[row][present[row]])
    query = promql.parse(f"{function}(m_total[2m])", experimental=True)
    together = promql.range(query, RecordingSource([block]), 0, 900_000, 7_000)
    single = promql.range(query, alone, 0, 900_000, 7_000)
    assert together.labels == single.labels
    np.testing.assert_array_equal(together.present, single.present)
    np.testing.assert_allclose(together.values[together.present], single.values[single.present], rtol=1e-12)


def test_a_block_with_holes_selects_the_latest_sample_that_is_there() -> None:
    times = np.array([0, STEP, 2 * STEP], dtype=np.int64)
    present = np.array([[True, False, False], [False, False, True]])
    block = promql.Block([{"i": "1"}, {"i": "2"}], times, np.array([[1.0, 9, 9], [9, 9, 3]]), present)
    result = promql.range('{i=~".+"}', RecordingSource([block]), 0, 2 * STEP, STEP)
    assert np.where(result.present, result.values, -1).tolist() == [[1, 1, 1], [-1, -1, 3]]


def test_an_empty_label_is_none() -> None:
    block = promql.Block([{"__name__": "m", "i": ""}], np.array([0]), np.array([[1.0]]))
    assert promql.instant("sum by (i) (m)", RecordingSource([block]), 0).labels == [{}]
    assert promql.instant("m", RecordingSource([block]), 0).labels == [{"__name__": "m"}]


def test_look_back_can_be_chosen() -> None:
    source = promql.MemorySource()
    source.add({"__name__": "m"}, [0], [1])
    assert promql.instant("m", source, 30_000, lookback_ms=31_000).labels
    assert not promql.instant("m", source, 30_000, lookback_ms=30_000).labels


def test_sums_of_very_different_sizes_lose_nothing() -> None:
    source = promql.MemorySource()
    values = [1e20, 1, -1e20, 1e-5, 3, 1e15, 0.25, -1e15]
    source.add({"__name__": "m"}, np.arange(8) * 1000, values)
    result = promql.range("sum_over_time(m[3s])", source, 2000, 7000, 1000)
    assert result.values.tolist() == [[1, -1e20, -1e20, 1e15 + 3, 1e15 + 3.25, 0.25]]
