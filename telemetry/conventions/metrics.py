"""Metrics of GenAI and MCP: what a metric measures, and of whose calls.

Attributes are taken from a list: LiteLLM puts a JSON text of each request among them, which would make a series per
request.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from telemetry.conventions import keys
from telemetry.conventions.kinds import LLM_OPERATIONS, MCP_CALL, MCP_METHOD
from telemetry.conventions.meaning import first_text
from telemetry.conventions.providers import provider_of
from telemetry.otlp.signals import Attributes, Source, text_of

Measure = Literal["calls", "input", "output", "cached", "reasoning", "cost", "tool_calls"]

MEASURES: dict[str, Measure] = {
    # Up to the conventions' version 1.41; each histogram's count is that of the calls.
    "gen_ai.client.operation.duration": "calls",
    "gen_ai.usage.cost": "cost",
    # The conventions' own repository.
    "gen_ai.client.inference.duration": "calls",
    "gen_ai.client.inference.usage.input_tokens": "input",
    "gen_ai.client.inference.usage.output_tokens": "output",
    "gen_ai.client.inference.usage.cache_read.input_tokens": "cached",
    "gen_ai.client.inference.usage.reasoning.output_tokens": "reasoning",
}
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  a metric's name
# What a client of MCP waited for. The server's metric measures the same calls again.
MCP_DURATION = "mcp.client.operation.duration"
TOKEN_TYPES: dict[str, Measure] = {"input": "input", "output": "output", "completion": "output", "prompt": "input"}


class Calls(NamedTuple):
    """Whose calls a data point measures. `instance` and `scope` keep streams apart that count on their own."""

    service: str
    instance: str
    scope: str
    team: str
    provider: str
    model: str
    operation: str


class ToolCalls(NamedTuple):
    """Whose calls of which tool a data point measures."""

    service: str
    instance: str
    scope: str
    team: str
    server: str
    tool: str


def is_read(metric: str) -> bool:
    """Whether a metric measures calls of models or tools."""
    return metric in (TOKEN_USAGE, MCP_DURATION) or metric in MEASURES


def measure_of(metric: str, attributes: Attributes) -> Measure | None:
    """What a data point measures of calls of models or tools; None for all else."""
    if metric == MCP_DURATION:
        return "tool_calls" if text_of(attributes.get(MCP_METHOD)) == MCP_CALL else None
    if metric == TOKEN_USAGE:
        measure = TOKEN_TYPES.get(text_of(attributes.get("gen_ai.token.type")))
    else:
        measure = MEASURES.get(metric)
    operation = text_of(attributes.get("gen_ai.operation.name"))
    return measure if not operation or operation in LLM_OPERATIONS else None


def calls_of(source: Source, attributes: Attributes, measure: Measure) -> Calls | ToolCalls:
    """Whose calls a data point measures."""
    whose = (
        source.service,
        text_of(source.resource.get("service.instance.id")),
        source.scope,
        first_text(attributes, keys.TEAM) or first_text(source.resource, keys.TEAM),
    )
    if measure == "tool_calls":
        server = first_text(attributes, keys.MCP_SERVER) or source.service
        return ToolCalls(*whose, server, first_text(attributes, keys.TOOL))
    return Calls(
        *whose,
        provider_of(first_text(attributes, keys.PROVIDER)),
        first_text(attributes, ("gen_ai.response.model", "gen_ai.request.model")),
        LLM_OPERATIONS.get(text_of(attributes.get("gen_ai.operation.name")), ""),
    )
