"""The portal's series against a real Prometheus with the same history, as scraped from the portal every 15 s while
records came.

Three differences are meant. *Starts*: a counter begins with a 0 one scrape before its first record, as the portal knows
its start; tested as that zero and nothing else. *Grains*: over half a day and more, counters are read off coarser
buckets; the day's test allows for one. *Left edges*: Debian's Prometheus 2.42 takes a sample on the left edge of a
window; no query is asked at a scrape's time.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import promql
from alerts.rules.defaults import GROUPS
from alerts.rules.expression import expand, split
from promql import syntax
from tests.ecosystem.scraped import MODELS, SCRAPE, Scraped, calls, simulated, work
from tests.promql.prometheus_server import Answer, PrometheusServer, RefusedError
from tests.records import NOW, Sender, call
from usage.boards import declarations
from usage.catalog import FAMILIES, series_names
from usage.models import Budget
from usage.series.source import PostgresSource
from usage.store import downsampling

SPEC = Path(__file__).resolve().parents[1] / "documents/rules.yaml"
START = int(NOW.timestamp()) // 60 * 60
# Every series begins with the first scrape, those of one more model and of late labels after the middle.
LATE, END = START + 18 * 60, START + 25 * 60
NEWCOMER = ("mistral", "large")
DAY = 86_400

COUNTED = [one for one in FAMILIES if one.type != "gauge"]
LABELS = ("provider", "model", "component", "outcome", "type", "error_type", "le")


@dataclass(frozen=True)
class Span:
    """The times of a range query, in epoch seconds, off the scrapes."""

    start: int
    end: int
    step: int = SCRAPE


# In the first, windows of a quarter of an hour reach back to where every series has begun; the second is all the life,
# and before it.
SETTLED = Span(START + 16 * 60 + 7, LATE - 8)
WHOLE = Span(START - 2 * SCRAPE - 8, END - 8)


def lived(sender: Sender, end: int) -> Scraped:
    """The portal's life from START on, as scraped."""
    Budget.objects.create(team="red", limit_usd=100.0)
    draw = random.Random(5)
    with simulated(sender, draw) as portal:
        for start in range(START, end, SCRAPE):
            chance = 1.0 if start == START else 0.4
            models = (*MODELS, NEWCOMER) if start >= LATE else MODELS
            portal.live(start, [*calls(draw, start, chance, models), *work(draw, start, chance)])
    return portal


def of_portal(query: str, span: Span, now: int) -> Answer:
    """The portal's answer in the shape of Prometheus's."""
    result = promql.range(query, PostgresSource(now=now), span.start * 1000, span.end * 1000, span.step * 1000)
    return {
        frozenset(labels.items()): {
            int(at): float(value) for at, value, there in zip(result.times, values, present, strict=True) if there
        }
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True)
    }


def off_the_edge(answer: Answer, query: str) -> Answer:
    """The answer without samples on the threshold of the query, which rounding can put on either side."""
    condition = promql.split_condition(promql.parse(query).expr)
    threshold = condition.number if condition is not None else None
    if not threshold:  # nothing is rounded to 0
        return answer
    kept = {
        key: {at: value for at, value in samples.items() if not math.isclose(value, threshold, rel_tol=1e-9)}
        for key, samples in answer.items()
    }
    return {key: samples for key, samples in kept.items() if samples}


def alike(ours: Answer, theirs: Answer, within: float = 1e-9) -> bool:
    """The same series, times and values but for the last digits of sums, or `within` this share."""
    return ours.keys() == theirs.keys() and all(
        samples.keys() == theirs[key].keys()
        and all(
            math.isclose(value, theirs[key][at], rel_tol=within, abs_tol=1e-9)
            or (math.isnan(value) and math.isnan(theirs[key][at]))
            for at, value in samples.items()
        )
        for key, samples in ours.items()
    )


def check(server: PrometheusServer, query: str, span: Span, now: int = END, within: float = 1e-9) -> Answer:
    """The answer. Raises where the two differ; where Prometheus refuses, so must the portal, and there is none."""
    try:
        theirs = server.range(query, span.start * 1000, span.end * 1000, span.step * 1000)
    except RefusedError:
        with pytest.raises(promql.PromQLError):
            of_portal(query, span, now)
        return {}
    ours, theirs = (off_the_edge(answer, query) for answer in (of_portal(query, span, now), theirs))
    assert alike(ours, theirs, within), f"{query} over {span}\nportal: {ours}\nPrometheus: {theirs}"
    return ours


def with_measured(condition: str) -> list[str]:
    """An alerting condition, and what it compares: that has values also where the condition is not met."""
    parts = split(condition)
    return [condition, parts.measured] if parts else [condition]


RULES = [
    query for group in GROUPS for rule in group.rules for query in with_measured(expand(rule.expr, rule.threshold))
]
BOARDS = [
    declarations.expand(query.expr, "5m", "10m")
    for board in declarations.BOARDS.values()
    for panel in board.panels
    for query in panel.queries
]
NAMES = [name for family in FAMILIES for name in series_names(family)]


def longest(query: str) -> int:
    """The longest window of a query, in seconds."""
    nodes = syntax.walk(promql.parse(query).expr)
    return (
        max((node.range_ms or 0 for node in nodes if isinstance(node, syntax.Selector | syntax.Subquery)), default=0)
        // 1000
    )


def of_the_documents() -> list[str]:
    """Every query of the requirement documents."""
    spec = yaml.safe_load(SPEC.read_text())
    rules = [rule["expr"] for group in spec["groups"] for rule in group["rules"] if "expr" in rule]
    return [*(query for rule in rules for query in with_measured(rule)), *spec["queries"].values()]


WINDOWS = st.sampled_from(["45s", "1m", "2m", "5m"])
OFFSETS = st.sampled_from(["", " offset 15s", " offset 1m"])
GROUPINGS = st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(", ".join)
OVER = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "changes",
    "resets",
    "max_over_time",
    "avg_over_time",
    "last_over_time",
    "count_over_time",
    "deriv",
]


@st.composite
def queries(draw: Callable[[Any], Any]) -> str:
    """A query as people write them, over a counter or a histogram of the catalog."""
    family = draw(st.sampled_from(COUNTED))
    name = draw(st.sampled_from(sorted(series_names(family))))
    matcher = draw(
        st.sampled_from(["", '{provider="openai"}', '{model!~"gpt.*"}', '{error_type=~"auth|timeout"}', '{le!="+Inf"}'])
    )
    window, offset = draw(WINDOWS), draw(OFFSETS)
    value = draw(
        st.sampled_from([f"{name}{matcher}{offset}", *(f"{over}({name}{matcher}[{window}]{offset})" for over in OVER)])
    )
    if family.type == "histogram" and draw(st.booleans()):
        # No share of few calls falls on the border of two buckets, where rounding could take either.
        grouping = draw(st.sampled_from(["le", "le, provider", "le, model"]))
        value = (
            f"histogram_quantile({draw(st.sampled_from([0, 0.497, 0.951, 1]))}, sum by ({grouping})"
            f" (rate({family.name}_bucket[{window}])))"
        )
    elif draw(st.booleans()):
        aggregate, word = (
            draw(st.sampled_from(["sum", "avg", "max", "min", "count"])),
            draw(st.sampled_from(["by", "without"])),
        )
        value = f"{aggregate} {word} ({draw(GROUPINGS)}) ({value})"
    return draw(
        st.sampled_from(
            [
                value,
                f"{value} > 1.03717",  # no sum of few digits lies there, which rounding could put on either side
                f"100 * {value}",
                f"{value} / {value}",
                f"abs({value}) + 1",
            ]
        )
    )


def test_queries_have_the_answers_of_a_prometheus_that_scraped_the_portal(
    sender: Sender, fixed_time: object, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    portal = lived(sender, END)
    written = [query for query in (*RULES, *BOARDS) if longest(query) < DAY / 2]
    with (
        portal.serve(tmp_path / "scrapes", with_starts=False) as plain,
        portal.serve(tmp_path / "scrapes and starts", with_starts=True) as started,
    ):

        def compare(query: str, step: int = SCRAPE) -> bool:
            """Whether there is an answer, which is a Prometheus's: in settled windows, and in all windows where it
            knows the starts."""
            if longest(query) <= 15 * 60:
                check(plain, query, replace(SETTLED, step=step))
            return bool(check(started, query, replace(WHOLE, step=step)))

        for query in NAMES + [f"rate({name}[5m])" for name in NAMES]:
            assert compare(query), f"{query} has no answer"
        with subtests.test("the default rules and the boards"):
            answered = [compare(query) for query in written]
            assert sum(answered) > 0.8 * len(written)
        with subtests.test("generated"):
            examples = []

            @settings(
                max_examples=300,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            @given(queries(), st.sampled_from([15, 30, 60]))
            def compare_generated(query: str, step: int) -> None:
                examples.append(compare(query, step))

            compare_generated()
            assert sum(examples) > 150, "most queries should have an answer"
        with subtests.test("the requirement documents"):
            wanted = of_the_documents()
            answered = [compare(query) for query in wanted]
            assert sum(answered) > 0.8 * len(wanted)


def test_a_counter_s_start_is_known_as_a_zero_one_scrape_before_prometheus_sees_it(
    sender: Sender, fixed_time: object, tmp_path: Path
) -> None:
    portal = lived(sender, START + 4 * SCRAPE)
    start, first = Span(START + 7, START + 7), Span(START + SCRAPE + 7, START + SCRAPE + 7)
    with portal.serve(tmp_path / "scrapes", with_starts=False) as plain:
        for name in [name for family in COUNTED for name in series_names(family)]:
            seen = check(plain, name, first)
            assert seen
            assert alike(of_portal(name, start, END), {key: {start.start * 1000: 0.0} for key in seen})
            assert plain.range(name, start.start * 1000, start.end * 1000, 15_000) == {}


COMPONENT_COUNTERS = [one.name for one in COUNTED if one.type == "counter" and "component" in one.labels]


def day_of_calls(start: int, end: int) -> Iterator[dict[str, Any]]:
    """Even traffic of a model until `end`, four times as much of another and of embeddings at last, and a component
    that falls silent."""
    if start % 600 == 0:
        yield call(start + 1)
        late = 4 if start >= end - 900 else 1
        for _ in range(late):
            yield call(start + 2, model="o3")
            yield call(start + 3, model="embedding", completion_tokens=None)
        if start < end - 3600:
            yield call(start + 4, component="importer")


def test_rules_that_look_back_a_day_answer_as_prometheus_does(
    sender: Sender, fixed_time: object, tmp_path: Path
) -> None:
    end = START + 90 * 60
    with simulated(sender, random.Random(5), COMPONENT_COUNTERS) as portal:
        for start in range(end - DAY - 2 * 3600, end, SCRAPE):
            if came := list(day_of_calls(start, end)):
                portal.live(start, came)
            else:
                portal.pass_by(start)
    downsampling.downsample(datetime.fromtimestamp(end, UTC))
    span = Span(end - 15 * 60 + 7, end - 8, 60)
    with portal.serve(tmp_path / "scrapes and starts", with_starts=True) as started:
        for query in RULES:
            if longest(query) >= DAY:
                assert check(started, query, span, end), f"{query} has no answer"
        # An hour's bucket may be cut by the window's edge, and is then taken as even.
        for name in COMPONENT_COUNTERS:
            assert check(started, f"sum by (component, model) (increase({name}[1d]))", span, end, within=0.01)
