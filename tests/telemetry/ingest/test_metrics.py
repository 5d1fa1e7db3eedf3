"""Metrics in: those of GenAI and MCP count where a service sends no spans, each part of a stream once."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.accounts import keys
from core.accounts.models import Workspace
from tests.records import NOW, rows, scalar
from tests.telemetry.conftest import JSON, Configure, Exporter
from usage.ingest import spool

pytestmark = pytest.mark.usefixtures("old_spans")
SECOND, DAY = 10**9, 86_400
NOW_NANOS = int(NOW.timestamp()) * SECOND


def calls() -> Counter[tuple[Any, ...]]:
    found = rows(
        "SELECT d.labels ->> 'model', d.labels ->> 'outcome', prompt_tokens, completion_tokens FROM usage_record r"
        " JOIN usage_dimension d ON d.id = r.dimension_id WHERE d.kind = 'llm_call'"
    )
    return Counter(found)


CHAT, EMBEDDING = "gpt-4o-mini-2026-05-01", "text-embedding-3-small"
FAILED = {("rate-limited", "rate_limited", None, None): 1, ("bad-key", "error", None, None): 1}
OF_OPENAI = {
    (CHAT, "success", 120, 35): 2,
    ("gpt-4o-mini", "success", None, None): 2,
    (EMBEDDING, "success", 9, None): 1,
    **FAILED,
}
TRUTH = {
    "openai-v2-default-metrics.bin": OF_OPENAI,
    "openai-v2-latest-metrics.bin": {
        (CHAT, "success", 120, 35): 3,
        (CHAT, "success", None, None): 1,
        (EMBEDDING, "success", 9, None): 1,
        **FAILED,
    },
    # It names the model of no call that failed.
    "openllmetry-metrics.bin": {
        (CHAT, "success", 120, 35): 3,
        (CHAT, "success", None, None): 1,
        (EMBEDDING, "success", 9, None): 1,
        ("unknown", "rate_limited", None, None): 1,
        ("unknown", "error", None, None): 1,
    },
    "pydantic-ai-metrics.bin": {(CHAT, "success", 120, 35): 2},
    "litellm-metrics.bin": {("gpt-4o-mini", "success", 120, 35): 2, (EMBEDDING, "success", 9, 0): 1},
}


@pytest.mark.parametrize("name", TRUTH)
def test_metrics_of_a_service_without_spans_count_once(exporter: Exporter, name: str) -> None:
    for _ in range(2):
        answer = exporter.send(name)
        assert (answer.status_code, answer.content) == (200, b"")
        assert calls() == TRUTH[name]


def test_the_same_sums_sent_again_at_exit_count_once(exporter: Exporter) -> None:
    exporter.send("openai-v2-default-metrics.bin")
    exporter.send("openai-v2-default-metrics-resend.bin")
    assert calls() == OF_OPENAI


@pytest.mark.parametrize("client", ["openai-v2-default", "openai-v2-latest", "openllmetry", "pydantic-ai", "litellm"])
@pytest.mark.parametrize("first", ["traces", "metrics"])
def test_metrics_beside_spans_of_the_same_service_count_once(exporter: Exporter, client: str, first: str) -> None:
    second = {"traces": "metrics", "metrics": "traces"}[first]
    exporter.send(f"{client}-{first}.bin")
    before = calls()
    exporter.send(f"{client}-{second}.bin")
    if first == "traces":
        assert calls() == before
    else:
        counted = {model for model, *_ in before}
        assert all(calls()[one] == count for one, count in before.items() if one[0] in counted)
        assert scalar("SELECT count(*) FROM telemetry_span WHERE counted_kind = 'llm_call'") == 0
        assert scalar("SELECT count(*) FROM telemetry_span WHERE not_counted = 'metrics'") > 0


def usage(*points: dict[str, Any], name: str = "gen_ai.client.token.usage", cumulative: bool = True) -> bytes:
    """Histograms of OTLP/JSON, of one service."""
    given = {
        "name": name,
        "histogram": {"aggregationTemporality": 2 if cumulative else 1, "dataPoints": [*points]},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [given]}]}]}).encode()


def point(count: int, total: float, at: int, start: int = 0, **attributes: str) -> dict[str, Any]:
    """A point, `at` and `start` in seconds from NOW."""
    named = {"gen_ai.operation.name": "chat", "gen_ai.token.type": "input", "gen_ai.request.model": "m", **attributes}
    return {
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in named.items()],
        "startTimeUnixNano": str(NOW_NANOS + start * SECOND),
        "timeUnixNano": NOW_NANOS + at * SECOND,
        "count": str(count),
        "sum": total,
    }


def tokens() -> tuple[int, int]:
    """Calls and their prompt tokens."""
    [found] = rows("SELECT count(*), coalesce(sum(prompt_tokens), 0)::int FROM usage_record")
    return found[0], found[1]


def test_a_cumulative_stream_counts_what_it_grew_by(exporter: Exporter) -> None:
    seen = []
    for body in (
        usage(point(2, 20, at=60)),
        usage(point(2, 20, at=120)),
        usage(point(5, 60, at=180)),
        usage(point(2, 20, at=120)),  # late, and known
        usage(point(1, 7, at=240, start=200)),  # after a restart
        usage(point(2, 9, at=300, start=200)),
    ):
        assert exporter.post("/v1/metrics", body, JSON).content == b"{}"
        seen.append(tokens())
    assert seen == [(2, 20), (2, 20), (5, 60), (5, 60), (6, 67), (7, 69)]
    assert scalar("SELECT max(at) = %s FROM usage_record", NOW + timedelta(seconds=300)) is True


def test_a_delta_stream_counts_each_point_once(exporter: Exporter) -> None:
    seen = []
    for body in (
        usage(point(2, 20, at=60), cumulative=False),
        usage(point(2, 20, at=60), cumulative=False),
        usage(point(1, 5, at=120, start=60), cumulative=False),
    ):
        exporter.post("/v1/metrics", body, JSON)
        seen.append(tokens())
    assert seen == [(2, 20), (2, 20), (3, 25)]


def test_attributes_that_are_not_read_make_no_streams(exporter: Exporter) -> None:
    points = [point(1, 10, at=60, hidden_params=json.dumps({"request": number})) for number in range(50)]
    exporter.post("/v1/metrics", usage(*points), JSON)
    assert tokens() == (50, 500)
    assert scalar("SELECT count(*) FROM telemetry_stream") == 1


def test_an_old_stream_that_nobody_knew_counts_from_its_next_point_on(
    exporter: Exporter, workspace: Workspace, configure: Configure
) -> None:
    configure(record_max_age=int((timezone.now() - NOW).total_seconds()) + DAY)
    _, exporter.plaintext = keys.create_key("no backfill", workspace, ["ingest"])
    exporter.post("/v1/metrics", usage(point(1_000, 90_000, at=60, start=-30 * DAY)), JSON)
    assert tokens() == (0, 0)
    exporter.post("/v1/metrics", usage(point(1_002, 90_020, at=120, start=-30 * DAY)), JSON)
    assert tokens() == (2, 20)


def test_counters_of_tokens_count_with_the_calls_beside_them(exporter: Exporter) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    common = point(0, 0, at=60)
    counters = [
        ("gen_ai.client.inference.usage.input_tokens", 100),
        ("gen_ai.client.inference.usage.output_tokens", 31),
        ("gen_ai.client.inference.usage.cache_read.input_tokens", 60),
    ]
    metrics: list[dict[str, Any]] = [
        {"name": name, "sum": {"aggregationTemporality": 2, "dataPoints": [{**common, "asInt": str(value)}]}}
        for name, value in counters
    ]
    duration = {"aggregationTemporality": 2, "dataPoints": [point(2, 3.0, at=60)]}
    metrics.append({"name": "gen_ai.client.inference.duration", "histogram": duration})
    metrics.append({"name": "gen_ai.server.request.duration", "histogram": duration})
    metrics.append({"name": "queue.depth", "gauge": {"dataPoints": [common]}})
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    assert exporter.post("/v1/metrics", json.dumps(body).encode(), JSON).content == b"{}"
    found = rows(
        "SELECT prompt_tokens, completion_tokens, cached_tokens, duration_seconds FROM usage_record ORDER BY"
        " completion_tokens"
    )
    assert found == [(50, 15, 30, 1.5), (50, 16, 30, 1.5)]


def test_a_service_s_name_may_be_anything(exporter: Exporter) -> None:
    for name in ("nul\\u0000", "x" * 5_000, ""):
        body = usage(point(1, 10, at=60)).replace(b'"shop"', f'"{name}"'.encode())
        assert exporter.post("/v1/metrics", body, JSON).status_code == 200
    assert (tokens(), spool.waiting()) == ((3, 30), 0)


def test_points_out_of_bounds_and_too_many_calls_are_refused(exporter: Exporter, configure: Configure) -> None:
    configure(batch_max_records=10)
    answer = exporter.post("/v1/metrics", usage(point(11, 11, at=60)), JSON)
    assert "export more often" in answer.json()["partialSuccess"]["errorMessage"]
    answer = exporter.post("/v1/metrics", usage(point(1, 1, at=10**9)), JSON)
    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
    answer = exporter.post("/v1/metrics", usage(point(1, -5, at=120)), JSON)
    assert "does not count" in answer.json()["partialSuccess"]["errorMessage"]
    assert tokens() == (0, 0)


TOOL_DURATION = "mcp.client.operation.duration"


def tool_point(count: int, total: float, at: int, **attributes: str) -> dict[str, Any]:
    """A point of MCP's metrics."""
    given = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search", "server.address": "tools.example"}
    return point(count, total, at, **{"gen_ai.operation.name": "execute_tool", **given, **attributes})


def tool_calls() -> list[tuple[Any, ...]]:
    return rows(
        "SELECT d.labels ->> 'server_id', d.labels ->> 'tool_name', d.labels ->> 'outcome',"
        " coalesce(d.labels ->> 'error_kind', ''),"
        " count(*)::int, sum(duration_seconds) FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id"
        " WHERE d.kind = 'tool_call' GROUP BY 1, 2, 3, 4 ORDER BY 3 DESC, 4"
    )


def test_mcp_s_client_metrics_count_calls_of_tools_once(exporter: Exporter) -> None:
    points = [
        tool_point(3, 1.5, at=60),
        tool_point(1, 9.0, at=60, **{"error.type": "timeout"}),
        tool_point(2, 0.2, at=60, **{"error.type": "tool_error"}),
        tool_point(9, 0.9, at=60, **{"mcp.method.name": "tools/list"}),
    ]
    for name in (TOOL_DURATION, "mcp.server.operation.duration", "mcp.client.session.duration", TOOL_DURATION):
        exporter.post("/v1/metrics", usage(*points, name=name), JSON)
    counted = [
        ("tools.example", "search", "timeout", "timeout", 1, None),
        ("tools.example", "search", "success", "", 3, 1.5),
        ("tools.example", "search", "error", "execution", 2, None),
    ]
    assert tool_calls() == counted
    exporter.post("/v1/metrics", usage(tool_point(4, 2.5, at=120), name=TOOL_DURATION), JSON)
    assert tool_calls()[1] == ("tools.example", "search", "success", "", 4, 2.5)
    assert scalar("SELECT count(*) FROM telemetry_unread_metric WHERE metric = %s", TOOL_DURATION) == 0


def spans_of_shop(at: int) -> bytes:
    """A call of a model and one of an MCP tool, `at` seconds from NOW."""
    common = {"traceId": "1" * 32, "startTimeUnixNano": str(NOW_NANOS), "endTimeUnixNano": str(NOW_NANOS + at * SECOND)}
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    tool = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}
    spans = [
        {
            **common,
            "spanId": str(place) * 16,
            "name": "span",
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in given.items()],
        }
        for place, given in enumerate((chat, tool), start=1)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


def test_metrics_of_tools_leave_calls_of_models_to_spans(exporter: Exporter) -> None:
    exporter.post("/v1/metrics", usage(tool_point(3, 1.5, at=60), name=TOOL_DURATION), JSON)
    exporter.post("/v1/traces", spans_of_shop(at=30), JSON)
    assert rows("SELECT kind, counted_kind, not_counted FROM telemetry_span ORDER BY kind") == [
        ("llm", "llm_call", ""),
        ("tool", "", "metrics"),
    ]


def test_metrics_of_tools_beside_spans_of_their_service_do_not_count(exporter: Exporter) -> None:
    exporter.post("/v1/traces", spans_of_shop(at=30), JSON)
    before = tool_calls()
    exporter.post("/v1/metrics", usage(tool_point(3, 1.5, at=60), name=TOOL_DURATION), JSON)
    assert tool_calls() == before != []
