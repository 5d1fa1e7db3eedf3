"""What rules of one tick share."""

from collections.abc import Sequence

import pytest

import promql
from alerts.cached_source import CachedSource
from alerts.evaluate import milliseconds
from tests.alerts.rules import START, gauge

pytestmark = pytest.mark.django_db
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
    assert answers(CachedSource(counting), queries) == answers(source, queries)
    assert [asked.count("host") for asked in counting.asked] == [1, 0]


def test_one_narrow_rule_reads_only_what_it_needs() -> None:
    counting = Counting(gauge({"a": [1], "b": [2]}))
    shared = CachedSource(counting)
    assert answers(shared, ['load{host="a"}', 'load{host="a"} + 1']) == [{"a": 1}, {"a": 2}]
    assert len(counting.asked) == 1
    assert "host=a" in counting.asked[0]


def test_other_ranges_are_other_reads() -> None:
    counting = Counting(gauge({"a": [1]}))
    answers(CachedSource(counting), ["load", "max_over_time(load[5m])", "max_over_time(load[1h])"])
    assert len(counting.asked) == 3
