"""What queries of one moment share."""

from collections.abc import Sequence

import pytest

import promql
from alerts.evaluation.schedule import milliseconds
from promql.functions import RANGE_FUNCTIONS, RangeFunction, counters
from promql.values import Bools, Floats
from promql.windows import Windows
from tests.alerts.scripted_rules import START, gauge

AT = milliseconds(START)


class Counting:
    """Keeps what was asked."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner = inner
        self.asked: list[str] = []

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        self.asked.append(",".join(f"{matcher.name}{matcher.op}{matcher.value}" for matcher in matchers))
        return self.inner.select(matchers, start_ms, end_ms, hints)


def answers(source: promql.Source, queries: list[str]) -> list[dict[str, float]]:
    results = [promql.instant(query, source, AT) for query in queries]
    return [
        {labels.get("host", ""): float(result.values[row, 0]) for row, labels in enumerate(result.labels)}
        for result in results
    ]


def test_a_metric_is_read_at_most_twice_whatever_labels_are_asked_for() -> None:
    source = gauge({"a": [1], "b": [2], "c": [3], "ab": [4]})
    queries = [
        'load{host="a"}',
        'load{host=~"a.*"}',
        'load{host!="a"}',
        "sum by (host) (load)",
        'load{x="y"}',
        'load{x=""}',
    ]
    counting = Counting(source)
    assert answers(promql.SharedReads(counting), queries) == answers(source, queries)
    assert [asked.count("host") for asked in counting.asked] == [1, 0]


def test_one_narrow_rule_reads_only_what_it_needs() -> None:
    counting = Counting(gauge({"a": [1], "b": [2]}))
    shared = promql.SharedReads(counting)
    assert answers(shared, ['load{host="a"}', 'load{host="a"} + 1']) == [{"a": 1}, {"a": 2}]
    assert len(counting.asked) == 1
    assert "host=a" in counting.asked[0]


def test_other_ranges_are_other_reads() -> None:
    counting = Counting(gauge({"a": [1]}))
    answers(promql.SharedReads(counting), ["load", "max_over_time(load[5m])", "max_over_time(load[1h])"])
    assert len(counting.asked) == 3


def test_what_several_queries_will_ask_for_is_read_whole_at_once() -> None:
    source = gauge({"a": [1], "b": [2], "c": [3]})
    queries = ['load{host="a"}', 'load{host="b"} + load{host="c"}', 'max_over_time(load{host="c"}[5m])']
    counting = Counting(source)
    assert answers(promql.SharedReads(counting, map(promql.parse, queries)), queries) == answers(source, queries)
    assert [asked.count("host") for asked in counting.asked] == [0, 1]


RANGES = [
    *(
        f'{function}(load{{host="{host}"}}[5m])'
        for function in ("rate", "increase", "resets", "count_over_time")
        for host in "abc"
    ),
    'quantile_over_time(0.5, load{host="a"}[5m])',
    'rate(load{host=~"a|b"}[5m] offset 1m)',
    "rate(load[5m])",
    'rate(load{host="a"}[2m])',
    "changes(rate(load{host='c'}[2m])[4m:1m])",
]


@pytest.mark.parametrize(
    "series",
    [
        {"a": [1, 2, 4, 0, 3, 5], "b": [0, 1, 1, 2, 9, 10], "c": [5, 6, 7, 8, 9, 10]},
        {"a": [1, None, 4, 0, None, 5], "b": [None, 1, 1, 2, 9, None], "c": [5, 6, 7, None, None, None]},
        {"a": [1, 2, 4, 0, 3, 5], "b": [None] * 6, "c": [5]},
    ],
)
def test_a_function_over_a_range_says_of_some_series_what_it_says_of_all(series: dict[str, list[float | None]]) -> None:
    source = gauge(series)
    shared = promql.SharedReads(source, map(promql.parse, RANGES))
    for query in RANGES:
        for start, end in ((AT + 300_000, AT + 300_000), (AT + 120_000, AT + 360_000)):
            found, wanted = (promql.range(query, one, start, end, 60_000) for one in (shared, source))
            assert found.labels == wanted.labels
            assert found.present.tolist() == wanted.present.tolist()
            assert found.values[found.present].tolist() == wanted.values[wanted.present].tolist()


def test_a_function_over_a_range_is_evaluated_once_for_all_its_series(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counted(windows: Windows, scalars: list[Floats]) -> tuple[Floats, Bools]:
        computed.append(len(windows.labels))
        return counters.resets(windows, scalars)

    monkeypatch.setitem(RANGE_FUNCTIONS, "resets", RangeFunction(counted))
    queries = [f'resets(load{{host="{host}"}}[5m])' for host in "abc"]
    source = gauge({host: [1, 2, 0] for host in "abc"})
    shared = promql.SharedReads(source, map(promql.parse, queries))
    for query in queries:
        assert promql.instant(query, shared, AT + 120_000).values.tolist() == [[1]]
    assert computed == [3]
