"""6: sums of rates, summed before they are evaluated, are what the general way gives."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import promql
from tests.records import NOW, Sender, call
from usage.series import source as source_module
from usage.series.source import PostgresSource
from usage.store import downsampling

pytestmark = pytest.mark.usefixtures("fixed_time", "summed_always")
END = NOW.replace(minute=0, second=0)
QUERIES = (
    "sum by (model) (rate(compozy_llm_usage_events_total[{window}]))",
    "sum by (component, model) (increase(compozy_llm_usage_failures_total[{window}]))",
    'sum by (provider) (increase(llm_tokens_total{{model=~"m[0-4]"}}[{window}]))',
    "sum without (model, le) (rate(llm_tokens_total[{window}] offset 7m))",
    "sum(rate(llm_provider_request_seconds_sum[{window}]))",
    "sum by (model) (increase(llm_provider_request_seconds_count[{window}]))",
    "histogram_quantile(0.9, sum by (le) (rate(llm_provider_request_seconds_bucket[{window}])))",
    'sum by (le, model) (increase(llm_provider_request_seconds_bucket{{le=~"1|5|[+]Inf"}}[{window}]))',
    'sum by (le) (rate(llm_provider_request_seconds_bucket{{le="0.31"}}[{window}]))',
    "100 * sum by (model) (rate(compozy_llm_usage_failures_total[{window}]))"
    " / sum by (model) (rate(compozy_llm_usage_events_total[{window}]))",
    "max_over_time(sum by (model) (rate(compozy_llm_usage_events_total[{window}]))[40m:3m])",
)


@pytest.fixture
def summed_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few series as there are here would be read as a matrix."""
    monkeypatch.setattr(source_module, "DENSE_CELLS", 0)


class General:
    """A source without its own sums."""

    def __init__(self, inner: promql.Source) -> None:
        self._inner = inner

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        return self._inner.select(matchers, start_ms, end_ms, hints)

    @contextmanager
    def snapshot(self) -> Iterator["General"]:
        with promql.snapshot_of(self._inner) as state:
            yield General(state)


def rows(result: promql.Result) -> dict[tuple[tuple[str, str], ...], list[float]]:
    """The values of a result by labels, NaN where there is none."""
    shown = np.where(result.present, result.values, np.nan)
    return {tuple(sorted(labels.items())): row.tolist() for labels, row in zip(result.labels, shown, strict=True)}


def store(sender: Sender, draw: random.Random, hours: float) -> None:
    """Calls of models of every size, which began at any time: some long ago, some in the last minutes."""
    calls = []
    for number in range(9):
        began = hours * 3600 * draw.choice((1, 1, 0.3, 0.02))
        for _ in range(draw.choice((1, 2, 7, 60))):
            at = END - timedelta(seconds=draw.random() * began)
            usage = {} if draw.random() < 0.2 else {"prompt_tokens": draw.randrange(900), "completion_tokens": 3}
            record = call(at=at, model=f"m{number}", component=draw.choice("ab"), team=draw.choice("xy"))
            for name in ("prompt_tokens", "completion_tokens"):
                del record[name]
            calls.append({**record, **usage, "duration_seconds": draw.lognormvariate(0, 1.5)})
    sender.post(calls)


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_those_of_the_general_way(sender: Sender, seed: int) -> None:
    draw = random.Random(seed)
    hours = (1, 5, 30, 30)[seed]
    store(sender, draw, hours)
    if seed % 2:
        downsampling.downsample(timezone.now(), 10_000)
        store(sender, draw, 0.4)  # not downsampled yet, and late
    source = PostgresSource(now=END.timestamp())
    end = int(END.timestamp() * 1000)
    compared = 0
    for template in QUERIES:
        for window, span, step in (("5m", 1, 60), ("13m", 4, 300), ("1h", 14, 900), ("4h", 26, 3600), ("15m", 26, 300)):
            query = template.format(window=window)
            start = end - min(span, hours) * 3_600_000
            for one, other in (
                (
                    promql.range(query, source, start, end, step * 1000),
                    promql.range(query, General(source), start, end, step * 1000),
                ),
                (promql.instant(query, source, end - 77_000), promql.instant(query, General(source), end - 77_000)),
            ):
                ours, general = rows(one), rows(other)
                assert ours.keys() == general.keys(), query
                for labels, values in general.items():
                    np.testing.assert_allclose(ours[labels], values, rtol=1e-9, atol=1e-12, err_msg=f"{query} {labels}")
                    compared += len(values)
    assert compared > 5_000


def test_no_series_is_handed_over(sender: Sender) -> None:
    sender.post([call(at=END - timedelta(minutes=minute), model=f"m{minute}") for minute in range(60)])

    class Refusing(PostgresSource):
        def select(self, *_: Any, **__: Any) -> list[promql.Block]:
            raise AssertionError("a series was read")

    source = Refusing(now=END.timestamp())
    query = "sum(increase(compozy_llm_usage_events_total[1h]))"
    result = promql.instant(query, source, int(END.timestamp() * 1000))
    assert result.values[0, 0] == pytest.approx(60, rel=0.05)


def test_a_counter_that_fell_is_read_in_the_general_way(sender: Sender) -> None:
    sender.post([call(at=END - timedelta(minutes=minute)) for minute in range(30)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE usage_rollup_15s SET measures[1] = -3 WHERE bucket = %s", [END - timedelta(minutes=10)])
    source = PostgresSource(now=END.timestamp())
    query, at = "sum(increase(compozy_llm_usage_events_total[20m]))", int(END.timestamp() * 1000)
    ours, general = promql.instant(query, source, at), promql.instant(query, General(source), at)
    assert ours.values.tolist() == general.values.tolist()


def test_rules_that_differ_in_their_sums_only_share_one_state(sender: Sender) -> None:
    sender.post([call(at=END - timedelta(minutes=minute)) for minute in range(30)])
    shared = promql.share_reads(PostgresSource(now=END.timestamp()))
    query, at = "sum(rate(compozy_llm_usage_events_total[20m]))", int(END.timestamp() * 1000)
    first = promql.instant(query, shared, at)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        again = promql.instant(f"{query} > 0", shared, at)
    assert len(asked) == 0
    assert again.values.tolist() == first.values.tolist()


def test_the_sums_of_a_snapshot_are_read_once_for_all_that_is_made_of_them(sender: Sender) -> None:
    store(sender, random.Random(1), 2)
    name = "llm_provider_request_seconds_bucket[10m]"
    quantiles = [f"histogram_quantile({share}, sum by (le) (rate({name})))" for share in (0.5, 0.9)]
    queries = [*quantiles, f"sum by (le) (increase({name}))"]
    times = int(END.timestamp() * 1000) - 3_600_000, int(END.timestamp() * 1000), 300_000
    source = PostgresSource(now=END.timestamp())
    apart = [rows(promql.range(query, source, *times)) for query in queries]
    with promql.snapshot_of(source) as state:
        promql.range(queries[0], state, *times)
        with CaptureQueriesContext(connection) as asked:
            together = [rows(promql.range(query, state, *times)) for query in queries]
    assert not asked.captured_queries
    assert together == apart


def test_a_range_of_few_series_is_left_to_the_general_way(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    store(sender, random.Random(1), 2)
    end = int(END.timestamp() * 1000)
    source = PostgresSource(now=END.timestamp())
    need = promql.SumNeed(
        (promql.Matcher("__name__", "=", "compozy_llm_usage_events_total"),),
        "rate",
        600_000,
        ("model",),
        True,
        end - 3_600_000,
        end,
        60_000,
    )
    assert source.summed(need) is not None
    monkeypatch.setattr(source_module, "DENSE_CELLS", 10_000_000)
    assert source.summed(need) is None
    assert source.summed(replace(need, start_ms=end, step_ms=0)) is not None
