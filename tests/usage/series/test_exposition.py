"""6: /metrics, whole texts."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from portal.env import Config
from tests.records import NOW, Sender, call, forget
from usage.catalog import FAMILIES
from usage.series.exposition import exposition

pytestmark = pytest.mark.usefixtures("fixed_time")


def of_family(name: str, text: str) -> str:
    """A family's part of an exposition."""
    start = text.index(f"# HELP {name} ")
    end = text.find("# HELP ", start + 1)
    return text[start : end if end > 0 else None]


def test_a_counter_sums_over_what_it_does_not_show(sender: Sender) -> None:
    sender.post(
        [call(team="a"), call(team="b"), call(model='quo"te\\\n'), call(prompt_tokens=None, completion_tokens=None)]
    )
    text = exposition(openmetrics=False, now=NOW.timestamp())
    assert of_family("compozy_llm_prompt_tokens_total", text) == (
        "# HELP compozy_llm_prompt_tokens_total Prompt tokens ingested\n"
        "# TYPE compozy_llm_prompt_tokens_total counter\n"
        'compozy_llm_prompt_tokens_total{component="agent",provider="openai",model="gpt-4o"} 200.0\n'
        'compozy_llm_prompt_tokens_total{component="agent",provider="openai",model="quo\\"te\\\\\\n"} 100.0\n'
    )
    assert of_family("compozy_llm_usage_failures_total", text) == (
        "# HELP compozy_llm_usage_failures_total Attempts that recorded no usage\n"
        "# TYPE compozy_llm_usage_failures_total counter\n"
        'compozy_llm_usage_failures_total{component="agent",provider="openai",model="gpt-4o"} 1.0\n'
        'compozy_llm_usage_failures_total{component="agent",provider="openai",model="quo\\"te\\\\\\n"} 0.0\n'
    )
    assert of_family("llm_tokens_total", text).splitlines()[2:4] == [
        'llm_tokens_total{provider="openai",model="gpt-4o",direction="input"} 200.0',
        'llm_tokens_total{provider="openai",model="quo\\"te\\\\\\n",direction="input"} 100.0',
    ]


def test_a_histogram_is_cumulated(sender: Sender) -> None:
    tool = {"kind": "registry_lookup", "outcome": "hit", "at": NOW.timestamp()}
    sender.post([{**tool, "duration_seconds": seconds} for seconds in (0.00001, 0.00002, 0.5)])
    assert of_family("mcp_tool_registry_lookup_seconds", exposition(openmetrics=False)) == (
        "# HELP mcp_tool_registry_lookup_seconds Tool registry lookup latency\n"
        "# TYPE mcp_tool_registry_lookup_seconds histogram\n"
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="1e-05"} 1.0\n'
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="0.0001"} 2.0\n'
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="0.001"} 2.0\n'
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="0.01"} 2.0\n'
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="0.1"} 2.0\n'
        'mcp_tool_registry_lookup_seconds_bucket{outcome="hit",le="+Inf"} 3.0\n'
        'mcp_tool_registry_lookup_seconds_sum{outcome="hit"} 0.50003\n'
        'mcp_tool_registry_lookup_seconds_count{outcome="hit"} 3.0\n'
    )


def test_a_gauge_holds_its_last_value_for_a_while(sender: Sender) -> None:
    gauge = {"kind": "gauge", "metric": "mcp_server_connections_active", "labels": {"server_id": "web"}}
    sender.post(
        [{**gauge, "value": value, "at": NOW.timestamp() + after} for after, value in ((0, 3), (20, 5), (10, 4))]
    )
    line = 'mcp_server_connections_active{server_id="web"} 5.0\n'
    assert line in exposition(openmetrics=False, now=NOW.timestamp() + 60)
    assert line not in exposition(openmetrics=False, now=NOW.timestamp() + 3700)


def test_nothing_goes_back_and_every_replica_exports_the_same(sender: Sender) -> None:
    sender.post([call()])
    first = exposition(openmetrics=False, now=NOW.timestamp())
    forget()  # another process
    assert exposition(openmetrics=False, now=NOW.timestamp()) == first


@pytest.mark.parametrize("openmetrics", [False, True])
def test_both_forms_are_read_by_the_reference_parser(sender: Sender, openmetrics: bool) -> None:
    sender.post([call(), {"kind": "execution", "agent_id": "a", "status": "ok", "duration_seconds": 1}])
    accept = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain"
    answer = Client().get("/metrics", HTTP_ACCEPT=accept, HTTP_ACCEPT_ENCODING="gzip")
    assert answer["Content-Encoding"] == "gzip"
    assert ("openmetrics" in answer["Content-Type"]) == openmetrics
    text = gzip.decompress(answer.content).decode()
    families: dict[str, Any] = {one.name: one for one in (parse_openmetrics if openmetrics else parse_plain)(text)}
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if family.type == "counter" else family.name
        assert families[name].type == family.type, name
        assert families[name].documentation == family.help
    assert "process_cpu_seconds" in families
    assert text.endswith("# EOF\n") == openmetrics


def test_a_token_may_be_asked_for(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(metrics_token="secret")
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 401
    assert Client().get("/metrics", HTTP_AUTHORIZATION="Bearer secret").status_code == 200


def test_a_scrape_asks_postgres_as_often_however_much_there_is(sender: Sender, django_assert_num_queries: Any) -> None:
    for count in (1, 50):
        sender.post([call(model=f"m{number}", at=NOW + timedelta(seconds=number)) for number in range(count)])
        with django_assert_num_queries(2):
            exposition(openmetrics=False)
