"""What real clients sent, captured: each body counts what its client did, once."""

from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.records import rows, scalar
from tests.telemetry.conftest import BODIES, Exporter

pytestmark = pytest.mark.usefixtures("old_spans")

CHAT = (120, 64, 35, 12)
# Per body of spans: the calls of models as (prompt, cached, completion, reasoning tokens), of tools as (name, outcome),
# runs of agents.
NO_DETAILS = (120, None, 35, None)
NONE = (None, None, None, None)
EMBEDDING = (9, None, None, None)
OF_OPENAI = [NO_DETAILS, NO_DETAILS, NONE, NO_DETAILS, EMBEDDING, NONE, NONE]
OF_VERCEL = (
    [CHAT, CHAT, CHAT, EMBEDDING, NONE],
    [("get_weather", "success")],
    [("weather-fn", "completed")] * 2 + [("weather-fn", "failed")],
)
TRUTH: dict[str, tuple[list[tuple[int | None, ...]], list[tuple[str, str]], list[tuple[str, str]]]] = {
    "openai-v2-default-traces.bin": (OF_OPENAI, [], []),
    "openai-v2-latest-traces.bin": (OF_OPENAI, [], []),
    "openinference-traces.bin": ([CHAT, CHAT, NONE, CHAT, EMBEDDING, NONE, NONE], [], []),
    # Of a stream OpenLLMetry does not tell the reasoning.
    "openllmetry-traces.bin": ([CHAT, (120, 64, 35, None), NONE, CHAT, (9, 0, None, None), NONE, NONE], [], []),
    "litellm-traces.bin": ([CHAT, CHAT, (9, None, 0, None), NONE, NONE], [], []),
    "pydantic-ai-traces.bin": (
        [CHAT, CHAT, NONE],
        [("get_weather", "success")],
        [("weather_agent", "completed"), ("bad_agent", "failed")],
    ),
    "vercel-ai-sdk-6-traces.bin": OF_VERCEL,
    "vercel-ai-sdk-6-traces.json": OF_VERCEL,
    "litellm-generic_api.json": ([CHAT, CHAT, NONE], [], []),
    "mcp-sdk-inproc-traces.bin": ([], [("add", "success"), ("boom", "error"), ("missing", "error")], []),
    "mcp-sdk-stdio-client-traces.bin": ([], [("add", "success"), ("boom", "success")], []),
    "mcp-sdk-stdio-server-traces.bin": ([], [("add", "success"), ("boom", "error")], []),
}


def calls() -> list[tuple[Any, ...]]:
    return rows(
        "SELECT prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens FROM usage_record r"
        " JOIN usage_dimension d ON d.id = r.dimension_id WHERE d.kind = 'llm_call'"
    )


def labelled(kind: str, *names: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(f"d.labels ->> '{name}'" for name in names)
    return rows(
        f"SELECT {columns} FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id WHERE d.kind = '{kind}'"
    )


def sort(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(found, key=repr)


@pytest.mark.parametrize("name", TRUTH)
def test_a_body_counts_what_its_client_did_once(exporter: Exporter, name: str) -> None:
    for _ in range(2):  # the second time changes nothing
        answer = exporter.send(name)
        assert (answer.status_code, answer.content) == (200, b"{}" if name.endswith(".json") else b"")
        models, tools, agents = TRUTH[name]
        assert sort(calls()) == sort([*models])
        assert sort(labelled("tool_call", "tool_name", "outcome")) == sort([*tools])
        assert sort(labelled("execution", "agent_id", "status")) == sort([*agents])
        assert scalar("SELECT count(*) FROM telemetry_span WHERE counted_kind = 'llm_call'") == len(models)
        assert scalar("SELECT count(*) FROM telemetry_span WHERE counted_kind = '' AND not_counted = ''") == 0
        assert scalar("SELECT sum(spans) FROM telemetry_trace") == scalar("SELECT count(*) FROM telemetry_span")
        assert scalar("SELECT coalesce(sum(input_tokens), 0)::int FROM telemetry_trace") == sum(
            one[0] or 0 for one in models
        )


ERRORS = {
    "openai-v2-default-traces.bin": ["auth", "rate_limit"],
    "openinference-traces.bin": ["auth", "rate_limit"],
    "openllmetry-traces.bin": ["auth", "rate_limit"],
    "litellm-traces.bin": ["auth", "rate_limit"],
    "litellm-generic_api.json": ["rate_limit"],
    "pydantic-ai-traces.bin": ["rate_limit"],
    # It tells that the call failed, not why.
    "vercel-ai-sdk-6-traces.json": ["unknown"],
}


@pytest.mark.parametrize("name", ERRORS)
def test_failed_calls_have_the_category_of_their_error(exporter: Exporter, name: str) -> None:
    exporter.send(name)
    found = [error for error, outcome in labelled("llm_call", "error_type", "outcome") if outcome != "success"]
    assert sorted(found) == ERRORS[name]


def test_both_ends_of_mcp_tell_of_one_call_and_the_server_s_word_counts(exporter: Exporter) -> None:
    exporter.send("mcp-sdk-stdio-server-traces.bin")
    exporter.send("mcp-sdk-stdio-client-traces.bin")
    assert sort(labelled("tool_call", "tool_name", "outcome")) == [("add", "success"), ("boom", "error")]
    reasons = rows("SELECT name, not_counted FROM telemetry_span WHERE name LIKE %s ORDER BY 1", "MCP send tools/call%")
    assert reasons == [("MCP send tools/call add", "counted below"), ("MCP send tools/call boom", "counted below")]


WRITTEN = ("message.content", "prompt", "completion", "input.value", "output.value", "messages", "vector", "arguments")


@pytest.mark.parametrize("name", [name for name in TRUTH if name.endswith("-traces.bin")])
def test_nothing_that_people_or_models_wrote_is_stored_by_default(exporter: Exporter, name: str) -> None:
    body = ExportTraceServiceRequest.FromString((BODIES / name).read_bytes())
    spans = [span for of in body.resource_spans for scope in of.scope_spans for span in scope.spans]
    attributes = [
        one for span in spans for one in (*span.attributes, *(of for e in span.events for of in e.attributes))
    ]
    written = {
        one.value.string_value
        for one in attributes
        if any(part in one.key for part in WRITTEN) and "tokens" not in one.key and len(one.value.string_value) > 12
    }
    exporter.send(name)
    [(stored, headers)] = rows(
        "SELECT string_agg(s::text, ' '), count(*) FILTER (WHERE s::text ILIKE '%%bearer%%') FROM telemetry_span s"
    )
    assert [text for text in written if text in stored] == []
    assert headers == 0
    if name.startswith(("openinference", "pydantic", "vercel")):
        assert written
