"""What is remembered of label sets changes no answer, whatever the samples are the next time."""

from collections.abc import Sequence

import numpy as np
import pytest

import promql
from promql import Block, Hints, LabelSets, Matcher
from promql.labels import MAX_DERIVED, derive, matches_all

TIMES = np.arange(0, 600_000, 15_000)
QUERIES = (
    "sum by (job) (rate(a_total[1m]))",
    "avg without (pod) (a_total)",
    "a_total / on (job, pod) b_total",
    "a_total + on (job) group_left (zone) b_total",
    "b_total * ignoring (pod) group_right () a_total",
    "a_total > b_total",
    "a_total == bool b_total",
    "a_total + fill(0) b_total",
    "a_total unless on (pod) b_total",
    "a_total or b_total",
    "rate({__name__=~'a_total|b_total'}[1m])",
    "histogram_quantile(0.9, sum by (le, job) (rate(h_bucket[2m])))",
    "histogram_quantile(0.9, h_bucket)",
    "histogram_quantile(0.9, a_total)",
    "topk(2, a_total)",
    "quantile by (job) (0.5, -a_total)",
    "count_values('v', a_total > bool 3)",
    'label_replace(a_total, "job", "$1", "pod", "(.).*")',
    "increase(a_total[1m]) and b_total",
    "changes(sum by (job) (a_total)[2m:15s])",
    "stddev(a_total) + scalar(count(b_total))",
)


class Remembering:
    """Blocks whose samples change from draw to draw; `labels` are the same object each time, or a new list."""

    def __init__(self, remembers: bool) -> None:
        pods = [{"job": f"j{number % 2}", "pod": f"p{number}"} for number in range(4)]
        ends = ("0.1", "1", "1.0", "+Inf", "none")
        self.blocks = {
            "a_total": [{**pod, "__name__": "a_total"} for pod in pods],
            "b_total": [{**pod, "__name__": "b_total", "zone": "z"} for pod in pods[1:]],
            "h_bucket": [{**pod, "__name__": "h_bucket", "le": le} for pod in pods for le in ends],
        }
        self.remembers = remembers
        self.kept = {name: LabelSets(labels) for name, labels in self.blocks.items()}
        self.draw = 0

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        found = []
        for name, labels in self.blocks.items():
            if matches_all({"__name__": name}, [one for one in matchers if one.name == "__name__"]):
                random = np.random.default_rng([self.draw, len(name)])
                values = np.cumsum(random.integers(0, 3, (len(labels), TIMES.size)), axis=1).astype(float)
                present = None if self.draw % 3 == 0 else random.random(values.shape) < self.draw / 4
                found.append(Block(self.kept[name] if self.remembers else list(labels), TIMES, values, present))
        return found


def answer(query: str, source: Remembering, at: int | None) -> object:
    """What the query answers, or its error."""
    try:
        every = promql.range(query, source, 0, 500_000, 50_000) if at is None else None
        result = every or promql.instant(query, source, at or 0)
    except promql.PromQLError as error:
        return str(error)
    values = np.where(result.present, result.values, -1.0)
    return result.labels, np.nan_to_num(values, nan=-2).tolist(), result.warnings, result.infos


@pytest.mark.parametrize("query", QUERIES)
def test_answers_are_those_of_lists_that_remember_nothing(query: str) -> None:
    plain, remembering = Remembering(False), Remembering(True)
    for draw in range(6):
        plain.draw = remembering.draw = draw
        for at in (300_000, None):
            assert answer(query, remembering, at) == answer(query, plain, at)


def test_a_result_is_the_callers_own() -> None:
    source = Remembering(True)
    first = promql.instant("a_total", source, 300_000)
    first.labels[0]["job"] = "changed"
    assert promql.instant("a_total", source, 300_000).labels[0]["job"] == "j0"


def test_groups_are_made_once() -> None:
    made: list[int] = []
    labels = LabelSets([{"job": "a"}])
    for _ in range(2):
        derive(labels, "key", lambda: made.append(1))
        derive([{"job": "a"}], "key", lambda: made.append(2))
    assert made == [1, 2, 2]


def test_what_is_remembered_has_a_bound() -> None:
    labels = LabelSets([{"job": "a"}])
    for number in range(MAX_DERIVED + 1):
        assert derive(labels, number, lambda number=number: number) == number
    assert len(labels.derived) == 1
