"""The Prometheus HTTP API: parameters, answers and errors as Prometheus documents them, whole bodies."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from core.accounts import keys
from core.accounts.models import Workspace
from tests.records import NOW, Sender, call
from usage.catalog import FAMILIES

pytestmark = pytest.mark.usefixtures("fixed_time")
AT = NOW + timedelta(seconds=30)
STAMP = int(AT.timestamp())


@pytest.fixture
def ask(sender: Sender) -> Any:
    """GET an address of the API with a key that may query; the body."""
    sender.post([call(), call(model="b", prompt_tokens=7, duration_seconds=3)])
    _, key = keys.create_key("grafana", sender.key.workspace, ["query"])

    def get(path: str, status: int = 200, method: str = "get", **parameters: Any) -> Any:
        client = Client(headers={"Authorization": f"Bearer {key}"})
        answer = getattr(client, method)(f"/api/v1/{path}", parameters)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content)

    return get


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_instant_query(ask: Any, method: str) -> None:
    query = 'compozy_llm_prompt_tokens_total{model="b"}'
    assert ask("query", method=method, query=query, time=STAMP) == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {
                    "metric": {
                        "__name__": "compozy_llm_prompt_tokens_total",
                        "component": "agent",
                        "model": "b",
                        "provider": "openai",
                    },
                    "value": [STAMP, "7"],
                }
            ],
        },
    }
    assert ask("query", method=method, query="1+1", time=f"{STAMP}.5")["data"] == {
        "resultType": "scalar",
        "result": [STAMP + 0.5, "2"],
    }
    assert ask("query", query='"hi"', time=AT.isoformat())["data"] == {"resultType": "string", "result": [STAMP, "hi"]}


@pytest.mark.parametrize("step", ["15", "15s", "15.0"])
def test_a_range_query(ask: Any, step: str) -> None:
    query = "sum(compozy_llm_prompt_tokens_total)"
    assert ask("query_range", query=query, start=STAMP - 15, end=STAMP + 15, step=step)["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[STAMP - 15, "107"], [STAMP, "107"], [STAMP + 15, "107"]]}],
    }


def test_limit_truncates_with_a_warning(ask: Any) -> None:
    answer = ask("query", query="compozy_llm_prompt_tokens_total", time=STAMP, limit=1)
    assert (len(answer["data"]["result"]), answer["warnings"]) == (1, ["results truncated due to limit"])


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "text"),
    [
        ("query", {}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query"'),
        (
            "query",
            {"query": "1", "time": "noon"},
            400,
            "bad_data",
            'invalid parameter "time": cannot parse "noon" to a valid timestamp',
        ),
        ("query", {"query": "1", "time": "inf"}, 400, "bad_data", 'cannot parse "inf"'),
        ("query", {"query": "1", "timeout": "long"}, 400, "bad_data", 'invalid parameter "timeout"'),
        ("query", {"query": "1", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit"'),
        ("query", {"query": '{__name__=~".+_tokens_total"} + on() llm_tokens_total'}, 422, "execution", ""),
        (
            "query_range",
            {"query": "1", "start": 2, "end": 1, "step": 1},
            400,
            "bad_data",
            "end timestamp must not be before start time",
        ),
        (
            "query_range",
            {"query": "1", "start": 1, "end": 2, "step": 0},
            400,
            "bad_data",
            "zero or negative query resolution",
        ),
        (
            "query_range",
            {"query": "1", "start": 1, "end": 20000, "step": 1},
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points",
        ),
        ("query_range", {"query": "1", "start": 1, "end": 2}, 400, "bad_data", 'invalid parameter "step"'),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match[]": "x[5m]"}, 400, "bad_data", "is no series selector"),
        ("series", {"match[]": "x("}, 400, "bad_data", 'invalid parameter "match[]"'),
        ("rules", {"type": "odd"}, 400, "bad_data", "not supported value"),
    ],
)
def test_errors_have_prometheus_s_shape(
    ask: Any, path: str, parameters: Any, status: int, kind: str, text: str
) -> None:
    if kind == "execution":
        parameters = {**parameters, "time": STAMP}
    answer = ask(path, status, **parameters)
    assert (answer["status"], answer["errorType"]) == ("error", kind)
    assert text in answer["error"]


def test_series_labels_and_values(ask: Any) -> None:
    found = ask("series", **{"match[]": ['llm_provider_tokens_total{model="b"}', "mcp_tool_errors_total"]})["data"]
    common = {"__name__": "llm_provider_tokens_total", "model": "b", "provider": "openai"}
    assert found == [{**common, "type": "completion"}, {**common, "type": "prompt"}]
    assert (
        ask("series", **{"match[]": 'llm_provider_request_seconds_bucket{model="b",le="+Inf"}'})["data"][0]["le"]
        == "+Inf"
    )
    assert ask("labels")["data"] == ["__name__", "component", "direction", "le", "model", "outcome", "provider", "type"]
    assert ask("labels", **{"match[]": "llm_tokens_total"})["data"] == ["__name__", "direction", "model", "provider"]
    assert ask("label/model/values")["data"] == ["b", "gpt-4o"]
    assert ask("label/model/values", limit=1)["warnings"] == ["results truncated due to limit"]
    assert ask("label/nothing/values")["data"] == []
    assert "llm_usage_persist_seconds_count" not in ask("label/__name__/values")["data"], (
        "the portal's own belong to no workspace"
    )
    assert ask("series", **{"match[]": "llm_tokens_total", "end": STAMP - 86_400})["data"] == []


def test_metadata_is_the_catalog(ask: Any) -> None:
    assert ask("metadata", metric="llm_tokens_total")["data"] == {
        "llm_tokens_total": [{"type": "counter", "help": "Total LLM tokens used", "unit": ""}]
    }
    assert len(ask("metadata")["data"]) == len(FAMILIES)
    assert len(ask("metadata", limit=2)["data"]) == 2


def test_a_query_is_formatted_and_parsed(ask: Any) -> None:
    assert ask("format_query", query="sum  by(a)(rate(x[5m]))")["data"] == "sum by (a) (rate(x[5m]))"
    assert ask("parse_query", query='-rate(x{a!="b"}[5m] offset 1m) > bool 2')["data"] == {
        "type": "binaryExpr",
        "op": ">",
        "lhs": {
            "type": "unaryExpr",
            "op": "-",
            "expr": {
                "type": "call",
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                "args": [
                    {
                        "type": "matrixSelector",
                        "range": 300_000,
                        "name": "x",
                        "matchers": [
                            {"name": "__name__", "value": "x", "type": "="},
                            {"name": "a", "value": "b", "type": "!="},
                        ],
                        "offset": 60_000,
                        "timestamp": None,
                        "startOrEnd": None,
                        "anchored": False,
                        "smoothed": False,
                    }
                ],
            },
        },
        "rhs": {"type": "numberLiteral", "val": "2"},
        "bool": True,
        "matching": None,
    }


def test_what_clients_ask_before_they_ask(ask: Any) -> None:
    assert ask("status/buildinfo")["data"]["version"] == "3.0.0"
    assert ask("status/runtimeinfo")["data"]["storageRetention"] == "400d"
    assert ask("targets")["data"] == {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}
    assert ask("query_exemplars", query="x", start=1, end=2)["data"] == []
    assert ask("alerts")["data"] == {"alerts": []}


def test_rules_are_shown_by_group(ask: Any) -> None:
    groups = ask("rules", **{"rule_name[]": "SlowToolExecution"})["data"]["groups"]
    if groups:  # the rules that a migration brings are gone where another test emptied every table
        [rule] = groups[0]["rules"]
        assert (groups[0]["name"], rule["duration"], rule["type"], rule["alerts"]) == ("mcp_tools", 300, "alerting", [])
    assert ask("rules", type="record")["data"] == {"groups": []}
    assert ask("rules", **{"file[]": "x"})["data"] == {"groups": []}


def test_who_may_ask(ask: Any, sender: Sender, admin_user: Any) -> None:
    assert Client().get("/api/v1/query?query=1").status_code == 401
    assert Client().get("/api/v1/status/buildinfo").status_code == 200
    ingest_only = Client(headers={"Authorization": f"Bearer {sender.plaintext}"})
    refused = ingest_only.get("/api/v1/query?query=1")
    assert (refused.status_code, refused.json()["errorType"]) == (403, "forbidden")
    other = Workspace.objects.create(slug="other", name="Other")
    _, stranger = keys.create_key("stranger", other, ["query"])
    empty = Client(headers={"Authorization": f"Bearer {stranger}"}).get(
        f"/api/v1/query?query=llm_tokens_total&time={STAMP}"
    )
    assert empty.json()["data"]["result"] == []
    person = Client()
    person.force_login(admin_user)
    assert len(person.get(f"/api/v1/query?query=llm_tokens_total&time={STAMP}").json()["data"]["result"]) == 4
