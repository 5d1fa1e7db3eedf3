"""The portal's series against a real Prometheus with the same history, as scraped from the portal every 15 s while records came.

The clock is the test's: after the records of each quarter of a minute the portal's exposition is kept as the scrape of that time, and
a real Prometheus is started over all of them. So there is no jitter, and answers must be equal. Two differences are meant and kept
out: a counter begins with a 0 one scrape before its first record (the portal knows its start; all begin in the first scrape, before
the windows asked for), and Debian's Prometheus 2.42 takes a sample on the left edge of a window (no query is asked at a scrape's time).
"""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import promql
from portal.env import Config
from tests.conftest import require_program
from tests.promql.prometheus_server import Answer, PrometheusServer, RefusedError, Series, serve_prometheus
from tests.usage.conftest import NOW, Sender, call
from usage.catalog import CALL_ERRORS, FAMILIES, TOOL_ERRORS, series_names
from usage.exposition import exposition
from usage.series import PostgresSource

START = int(NOW.timestamp()) // 60 * 60
SCRAPES = 48
END = START + SCRAPES * 15
# Windows reach back six minutes at most, to where every series has begun.
FIRST, LAST = START + 7 * 60 + 7, END - 8
# What is counted when the portal does its work, not at the records' times.
OWN = ("llm_usage_persist", "compozy_llm_usage_latency")
COUNTERS = [one.name for one in FAMILIES if one.type == "counter" and not one.name.startswith(OWN)]
HISTOGRAMS = [one.name for one in FAMILIES if one.type == "histogram" and not one.name.startswith(OWN)]
LABELS = ("provider", "model", "component", "outcome", "type", "error_type", "le")


def records(draw: random.Random, start: int, everything: bool) -> Iterator[dict[str, Any]]:
    """The records of 15 s; `everything` has one for each series there will be."""
    times = lambda: round(start + draw.uniform(0, 14.9), 3)  # noqa: E731
    chance = 1.0 if everything else 0.4
    for provider, model in (("openai", "gpt-4o"), ("openai", "o3"), ("anthropic", "opus")):
        for error in (None, *CALL_ERRORS):
            for counted in (True, False) if error is None else (True,):
                if draw.random() < chance:
                    tokens = draw.randrange(1, 5000) if counted else None
                    failed = {"outcome": "error", "error_type": error} if error else {}
                    spent = {"duration_seconds": round(draw.lognormvariate(0, 1.5), 3), "rate_limit_delay_seconds": 0.7}
                    yield call(
                        times(),
                        provider=provider,
                        model=model,
                        prompt_tokens=tokens,
                        completion_tokens=tokens,
                        **spent,
                        **failed,
                    )
    for kind in (None, *TOOL_ERRORS):
        if draw.random() < chance:
            failed = {"error_kind": kind} if kind else {}
            duration = round(draw.lognormvariate(-1, 1.5), 4)
            yield {
                "kind": "tool_call",
                "server_id": "git",
                "tool_name": "read",
                "duration_seconds": duration,
                "at": times(),
                **failed,
            }


def scrape(kept: dict[tuple[tuple[str, str], ...], tuple[list[int], list[float]]], at: int) -> None:
    """Keep what the portal exports now as samples of the time `at`."""
    for family in text_string_to_metric_families(exposition(openmetrics=False, now=float(at))):
        for sample in family.samples:
            if not sample.name.startswith(OWN):
                key = tuple(sorted({"__name__": sample.name, **{k: v for k, v in sample.labels.items() if v}}.items()))
                times, values = kept.setdefault(key, ([], []))
                times.append(at * 1000)
                values.append(sample.value)


@pytest.fixture
def prometheus(sender: Sender, configure: Callable[..., Config], tmp_path: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that has scraped the portal from START to END."""
    configure(retention_records_days=36_500, record_max_age=10**10)
    draw, kept = random.Random(5), {}
    for number in range(SCRAPES):
        batch = list(records(draw, START + 15 * number, everything=number == 0))
        assert sender.post(batch).json()["accepted"] == len(batch)
        scrape(kept, START + 15 * (number + 1))
    series: list[Series] = [(dict(key), times, values) for key, (times, values) in kept.items()]
    program, tool = require_program("prometheus"), require_program("promtool")
    with serve_prometheus(program, tool, tmp_path, series) as server:
        yield server


def of_portal(query: str, step: int) -> Answer:
    """The portal's answer in the shape of Prometheus's."""
    result = promql.range(query, PostgresSource(now=END), FIRST * 1000, LAST * 1000, step * 1000)
    return {
        frozenset(labels.items()): {
            int(at): float(value) for at, value, there in zip(result.times, values, present, strict=True) if there
        }
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True)
    }


def alike(ours: Answer, theirs: Answer) -> bool:
    """The same series, times and values but for the last digits of sums."""
    return ours.keys() == theirs.keys() and all(
        samples.keys() == theirs[key].keys()
        and all(
            math.isclose(value, theirs[key][at], rel_tol=1e-9, abs_tol=1e-9)
            or (math.isnan(value) and math.isnan(theirs[key][at]))
            for at, value in samples.items()
        )
        for key, samples in ours.items()
    )


def check(server: PrometheusServer, query: str, step: int) -> None:
    """Raise where the two answer differently; where Prometheus refuses, so must the portal."""
    try:
        theirs = server.range(query, FIRST * 1000, LAST * 1000, step * 1000)
    except RefusedError:
        with pytest.raises(promql.PromQLError):
            of_portal(query, step)
        return
    ours = of_portal(query, step)
    assert alike(ours, theirs), f"{query}\nportal: {ours}\nPrometheus: {theirs}"


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
    family = draw(st.sampled_from([one for one in FAMILIES if one.name in {*COUNTERS, *HISTOGRAMS}]))
    name = draw(st.sampled_from(sorted(series_names(family))))
    matcher = draw(
        st.sampled_from(["", '{provider="openai"}', '{model!~"gpt.*"}', '{error_type=~"auth|timeout"}', '{le!="+Inf"}'])
    )
    window, offset = draw(WINDOWS), draw(OFFSETS)
    value = draw(
        st.sampled_from([f"{name}{matcher}{offset}", *(f"{over}({name}{matcher}[{window}]{offset})" for over in OVER)])
    )
    if family.type == "histogram" and draw(st.booleans()):
        grouping = draw(st.sampled_from(["le", "le, provider", "le, model"]))
        value = f"histogram_quantile({draw(st.sampled_from([0, 0.5, 0.95, 1]))}, sum by ({grouping}) (rate({family.name}_bucket[{window}])))"
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


def test_generated_queries_have_the_answers_of_a_prometheus_that_scraped_the_portal(
    prometheus: PrometheusServer,
) -> None:
    for name in (name for family in FAMILIES if family.name in COUNTERS + HISTOGRAMS for name in series_names(family)):
        check(prometheus, name, 15)
        check(prometheus, f"rate({name}[5m])", 60)
    answered = []

    @settings(max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(queries(), st.sampled_from([15, 30, 60]))
    def compare(query: str, step: int) -> None:
        check(prometheus, query, step)
        answered.append(bool(of_portal(query, step)))

    compare()
    assert sum(answered) > 150, "most queries should have an answer"
