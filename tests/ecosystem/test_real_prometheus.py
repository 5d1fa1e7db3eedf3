"""A real Prometheus scrapes the portal as the generated configuration says, and answers every generated query."""

import json
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

import promql
from alerts.canary.run import DELAY, RECORD
from portal.exports.prometheus_files import scrape_config
from tests.alerts.scripted_rules import make_rule
from tests.conftest import require_program
from tests.promql.prometheus_server import PrometheusServer, RefusedError, Series, serve_prometheus
from tests.records import Sender, call
from tests.servers import wait_until
from usage.boards import budgets
from usage.catalog import CALL_ERRORS, FAMILIES, TOOL_ERRORS, series_names
from usage.ingest import spool_gauge
from usage.models import Budget
from usage.samples import demo_world
from usage.series.source import PostgresSource
from usage.store import gauges

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
SECONDS = 60


def generated_queries() -> dict[str, str]:
    """Every query of the generated files, by where it is; windows that Grafana fills in are filled in."""
    found: dict[str, str] = {}
    alerts = yaml.safe_load((CLUSTER / "grafana/alerts/llm-usage-alerts.yaml").read_text())
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        for part in rule["data"][:-1]:
            found[f"{rule['title']} {part['refId']}"] = part["model"]["expr"].replace("$$", "$")
    for file in sorted((CLUSTER / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets") or []:
                expr = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "10m")
                found[f"{file.stem}: {panel['title']} {target['refId']}"] = expr
    return found


def history(end: int) -> list[Series]:
    """Two hours of an older past, for rules that look a day back. Times are Unix milliseconds."""
    times = range(end - 7_200_000, end, 60_000)
    labels = {"component": "demo-workflow", "provider": "openai", "model": "gpt-4o", "job": "llm-usage-portal"}
    names = ("compozy_llm_prompt_tokens_total", "compozy_llm_completion_tokens_total")
    return [({"__name__": name, **labels}, times, [float(step) for step in range(len(times))]) for name in names]


@pytest.fixture
def prometheus(live_server: LiveServer, sender: Sender, tmp_path: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes the live server every second."""
    config = yaml.safe_load(scrape_config())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config["rule_files"] = [str(CLUSTER / "prometheus/rules/llm-usage.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [live_server.url.removeprefix("http://")]}]
    before = (int(time.time()) - 3_600) * 1000
    with serve_prometheus(
        require_program("prometheus"), require_program("promtool"), tmp_path, history(before), yaml.safe_dump(config)
    ) as server:
        yield server


def failures() -> Iterator[dict[str, Any]]:
    """A call for each way in which one can fail: chance may leave one out."""
    now = time.time()
    for error in CALL_ERRORS:
        yield call(now, provider="anthropic", model="m", outcome="error", error_type=error, prompt_tokens=None)
    yield call(now, provider="anthropic", model="m", rate_limit_delay_seconds=2)
    for kind in TOOL_ERRORS:
        yield {"kind": "tool_call", "server_id": "github", "tool_name": "read", "error_kind": kind}
    yield {"kind": "execution", "agent_id": "a", "status": "failed", "duration_seconds": 1}


def send(sender: Sender, start: int, end: int) -> None:
    """Records of every kind with every failure, one that is refused, and the portal's own gauges."""
    batch = [*demo_world.records(start, end), *failures(), {"kind": "llm_call", "prompt_tokens": -1}]
    answer = sender.post(batch).json()
    assert (answer["accepted"], len(answer["rejected"])) == (len(batch) - 1, 1)
    budgets.measure(timezone.now())
    spool_gauge.report(timezone.now())
    gauges.keep({gauges.gauge_key(name, {}): 1.0 for name in (RECORD, DELAY)}, timezone.now())


def ask(server: PrometheusServer, query: str) -> dict[Any, dict[int, float]]:
    """The answer as of now."""
    return server.instant(query, int(time.time() * 1000))


def value(server: PrometheusServer, query: str) -> float:
    """The one number of a query; NaN where there is none yet."""
    answer = [*ask(server, query).values()]
    return next(iter(answer[0].values())) if answer else math.nan


def of_portal(query: str) -> float:
    """The one number of a query on the portal's own engine, once the present 15 seconds are over."""
    answer = promql.instant(promql.parse(query), PostgresSource(), int(time.time() * 1000) + 15_000)
    return float(answer.values[0, 0])


def agree(server: PrometheusServer, query: str) -> bool:
    """Whether Prometheus and the portal count the same. Sums of fractions may differ in their last digits."""
    return math.isclose(value(server, query), of_portal(query), rel_tol=1e-12)


def test_a_real_prometheus_answers_every_query_and_agrees_with_the_portal(
    prometheus: PrometheusServer, sender: Sender
) -> None:
    Budget.objects.create(team="support", limit_usd=100)
    make_rule()
    now = int(time.time()) // demo_world.TICK * demo_world.TICK
    send(sender, now - 600, now - 300)
    wait_until(lambda: value(prometheus, "sum(compozy_llm_usage_events_total)") > 0, SECONDS, "the first scrape")
    send(sender, now - 300, now)

    queries = generated_queries()
    assert len(queries) > 10
    empty = dict(queries)

    def all_answered() -> bool:
        for where, query in list(empty.items()):
            if ask(prometheus, query):
                del empty[where]
        return not empty

    try:
        wait_until(all_answered, SECONDS)
    except (AssertionError, RefusedError) as error:
        raise AssertionError(f"{error}; without data: {json.dumps(empty, indent=1)}") from error

    for family in FAMILIES:
        if family.type != "gauge":
            query = f"sum({[*series_names(family)][-1]})"
            wait_until(partial(agree, prometheus, query), SECONDS, query)


def test_the_rules_are_loaded_and_say_nothing_wrong(prometheus: PrometheusServer) -> None:
    groups = prometheus.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 12
    for rule in rules:
        ask(prometheus, rule["query"])
