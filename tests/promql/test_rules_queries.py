"""Every query that the requirement documents name answers as a real Prometheus does."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import promql
from promql import syntax
from tests.conftest import require_program
from tests.promql.prometheus_server import PrometheusServer, Series, serve_prometheus
from tests.promql.test_against_prometheus import FROM, SAMPLES, START, STEP, TO, as_answer, assert_same

RULES = Path(__file__).resolve().parents[1] / "documents/rules.yaml"
BOUNDS = ("0.1", "1", "10", "60", "+Inf")
# What the two rules in the documents' own format become, as the file says.
SIMPLE = [
    'rate(agent_execution_total{status="failed"}[5m]) > 0.1',
    "team_spend_usd > on (team) budget_limit * 0.9",
]
VALUES = {"status": ["failed", "success"], "error_type": ["rate_limit", "timeout"], "team": ["x", "y", "z"]}


def read_queries() -> list[str]:
    spec = yaml.safe_load(RULES.read_text())
    rules = [rule["expr"] for group in spec["groups"] for rule in group["rules"] if "expr" in rule]
    return [*rules, *spec["queries"].values(), *SIMPLE]


QUERIES = read_queries()


def labels_of(metric: str) -> set[str]:
    """The labels by which any of the queries tells the series of a metric apart."""
    found = {"team"} if metric in {"team_spend_usd", "budget_limit"} else set()
    for query in map(promql.parse, QUERIES):
        if metric in query.metric_names():
            for node in syntax.walk(query.expr):
                if isinstance(node, syntax.Aggregate):
                    found |= set(node.grouping)
                if isinstance(node, syntax.Selector):
                    found |= {matcher.name for matcher in node.matchers} - {"__name__"}
    return found - {"le"}


def one_of(values: list[str], index: int) -> str:
    return values[index % len(values)]


def make_series() -> Iterator[Series]:
    generator = np.random.default_rng(5)
    times = START + STEP * np.arange(SAMPLES)
    metrics = {metric for query in QUERIES for metric in promql.parse(query).metric_names()}
    for metric in sorted(metrics):
        for index in range(3):
            chosen = {name: one_of(VALUES.get(name, ["x", "y"]), index) for name in labels_of(metric)}
            labels = {"__name__": metric, **chosen, "instance": str(index)}
            if metric.endswith("_bucket"):
                counts = np.cumsum(np.cumsum(generator.poisson(1, (len(BOUNDS), SAMPLES)), axis=1), axis=0)
                counts[:, 0] = 0
                for bound, row in zip(BOUNDS, counts, strict=True):
                    yield {**labels, "le": bound}, times, row.astype(np.float64)
            elif metric.endswith("_total"):
                # Enough per second for the highest threshold of the rules.
                counts = np.cumsum(2000.0 * generator.poisson(3 + 400 * index, SAMPLES))
                yield labels, times, counts - counts[0]
            else:
                yield labels, times, generator.integers(0, 100, SAMPLES).astype(np.float64)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    programs = require_program("prometheus"), require_program("promtool")
    with serve_prometheus(*programs, tmp_path_factory.mktemp("rules"), list(make_series())) as server:
        yield server


@pytest.fixture(scope="module")
def source() -> promql.MemorySource:
    memory = promql.MemorySource()
    for labels, times, values in make_series():
        memory.add(labels, times, values)
    return memory


@pytest.mark.parametrize("query", QUERIES)
def test_the_documents_query_answers_as_prometheus_does(
    prometheus: PrometheusServer, source: promql.MemorySource, query: str
) -> None:
    theirs = prometheus.range(query, FROM, TO, 600_000)
    assert theirs
    assert_same(as_answer(promql.range(query, source, FROM, TO, 600_000)), theirs)
    assert_same(as_answer(promql.instant(query, source, TO)), prometheus.instant(query, TO))
