"""Bodies of OTLP as an instrumented application sends them: runs of agents with calls of models and tools."""

from __future__ import annotations

import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

BATCH = 512
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),
]
TOOLS, AGENTS = ("search", "fetch", "calculate"), ("planner", "writer", "support")
INTERNAL, CLIENT = 1, 3


def attribute(name: str, value: str | int | float) -> KeyValue:
    """An attribute."""
    if isinstance(value, str):
        return KeyValue(key=name, value=AnyValue(string_value=value))
    return KeyValue(
        key=name, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)
    )


def call(draw: random.Random) -> dict[str, str | int | float]:
    """The attributes of a call of a model."""
    provider, model = draw.choice(MODELS)
    tokens = draw.randrange(10, 8000)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.id": f"chatcmpl-{draw.getrandbits(96):024x}",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": draw.randrange(1, 900),
        "gen_ai.usage.cache_read.input_tokens": tokens // 2,
        "server.address": "api.example.com",
        "server.port": 443,
    }


def run(draw: random.Random, now: float) -> list[Span]:
    """A run of an agent: eight spans, five calls of models and two of tools below it, children first, as they end
    first."""
    trace, root = draw.randbytes(16), draw.randbytes(8)
    agent = draw.choice(AGENTS)
    start = int((now - draw.random() * 15) * 1e9)
    spans = []
    for number in range(7):
        begin = start + number * 400_000_000
        if number in (2, 5):
            tool = draw.choice(TOOLS)
            name, kind = f"execute_tool {tool}", INTERNAL
            given: dict[str, str | int | float] = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool,
                "gen_ai.tool.call.id": f"call_{number}",
            }
        else:
            given = call(draw)
            name, kind = f"chat {given['gen_ai.request.model']}", CLIENT
        given["gen_ai.agent.name"] = agent
        attributes = [attribute(key, value) for key, value in given.items()]
        spans.append(span(trace, draw.randbytes(8), root, name, kind, begin, attributes))
    attributes = [attribute("gen_ai.operation.name", "invoke_agent"), attribute("gen_ai.agent.name", agent)]
    return [*spans, span(trace, root, b"", f"invoke_agent {agent}", INTERNAL, start, attributes, 2_900_000_000)]


def span(
    trace: bytes,
    span_id: bytes,
    parent: bytes,
    name: str,
    kind: int,
    start: int,
    attributes: list[KeyValue],
    took: int = 380_000_000,
) -> Span:
    """A span; times in nanoseconds."""
    return Span(
        trace_id=trace,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        kind=kind,  # type: ignore[arg-type]  # the enum's number
        start_time_unix_nano=start,
        end_time_unix_nano=start + took,
        attributes=attributes,
    )


def body(draw: random.Random, now: float = 0.0) -> bytes:
    """A batch of spans of the last seconds, as one service's exporter sends it."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    resource = {
        "service.name": "assistant",
        "service.version": "1.4.2",
        "service.instance.id": "a1b2c3",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.1",
        "deployment.environment": "production",
    }
    of_resource.resource.attributes.extend(attribute(key, value) for key, value in resource.items())
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = "opentelemetry.instrumentation.openai_v2"
    for _ in range(BATCH // 8):
        of_scope.spans.extend(run(draw, now or time.time()))
    return request.SerializeToString()
