"""What a span means: the facts that lists, charts and usage are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from telemetry.conventions import keys
from telemetry.conventions.errors import error_of
from telemetry.conventions.kinds import SERVER, Kind, kind_of
from telemetry.conventions.providers import provider_of
from telemetry.otlp.signals import Attributes, RawSpan, amount_of, number_of, text_of

_MCP_CALL = re.compile(r"(?:MCP send )?tools/call (.+)")
_CACHED = re.compile(r"'(?:cached_tokens|cache_read_input_tokens)': (\d+)")
_REASONING = re.compile(r"'reasoning_tokens': (\d+)")


class Meaning(msgspec.Struct, gc=False):
    """The facts of a span; texts are empty and numbers None where it does not say. `server` is what ran a tool."""

    kind: Kind
    operation: str
    service: str
    team: str
    component: str
    error: str
    provider: str = ""
    model: str = ""
    agent: str = ""
    tool: str = ""
    server: str = ""
    session: str = ""
    user: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


def first_text(given: Attributes, names: Sequence[str]) -> str:
    """The first of some attributes that has a text."""
    for name in names:
        if name in given and (text := text_of(given[name])):
            return text
    return ""


def first_number(given: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of some attributes that counts something."""
    for name in names:
        if name in given and (number := number_of(given[name])) is not None:
            return number
    return None


def json_object(given: Attributes, name: str) -> dict[str, Any]:
    """An attribute that should be a JSON object."""
    text = given.get(name)
    if not isinstance(text, str):
        return {}
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def meaning_of(span: RawSpan) -> Meaning:
    """The facts of a span."""
    given, resource = span.attributes, span.source.resource
    kind, operation = kind_of(span)
    service = span.source.service
    meaning = Meaning(
        kind,
        operation,
        service,
        first_text(given, keys.TEAM) or first_text(resource, keys.TEAM),
        first_text(given, ("component",)) or service,
        error_of(span),
        session=first_text(given, keys.SESSION),
        user=first_text(given, keys.USER),
    )
    if kind == "llm":
        read_call(span, meaning)
    elif kind == "tool":
        meaning.tool = tool_of(span)
        meaning.server = service if span.kind == SERVER else first_text(given, keys.MCP_SERVER) or service
        meaning.agent = first_text(given, keys.AGENT[:1])
    elif kind == "agent":
        meaning.agent = first_text(given, keys.AGENT) or span.name
        meaning.component = "workflow" if operation == "invoke_workflow" else "agent"
    return meaning


def tool_of(span: RawSpan) -> str:
    """The name of the tool that a span called; MCP's client tells it in the span's name only."""
    named = first_text(span.attributes, keys.TOOL)
    if named:
        return named
    found = _MCP_CALL.fullmatch(span.name)
    return found[1] if found else span.name


def read_call(span: RawSpan, meaning: Meaning) -> None:
    """Fill in what a call of a model tells."""
    given = span.attributes
    meaning.provider = provider_of(first_text(given, keys.PROVIDER))
    meaning.model = first_text(given, keys.MODEL) or model_in_json(given)
    meaning.agent = first_text(given, keys.AGENT[:1])
    meaning.input_tokens = first_number(given, keys.INPUT)
    meaning.output_tokens = first_number(given, keys.OUTPUT)
    meaning.cached_tokens = first_number(given, keys.CACHED)
    meaning.reasoning_tokens = first_number(given, keys.REASONING)
    meaning.cost_usd = next((amount for name in keys.COST if (amount := amount_of(given.get(name))) is not None), None)
    if "litellm.provider.model" in given:
        read_litellm(given, meaning)
    if keys.LANGFUSE_USAGE in given or keys.LANGFUSE_COST in given:
        read_langfuse(given, meaning)
    if meaning.error and not meaning.input_tokens and not meaning.output_tokens:
        # A call that failed and counts 0 (LiteLLM's) carries no usage.
        meaning.input_tokens = meaning.output_tokens = meaning.cost_usd = None


def model_in_json(given: Attributes) -> str:
    """The model that the parameters of a call name."""
    return next((text for name in keys.MODEL_IN_JSON if (text := text_of(json_object(given, name).get("model")))), "")


def read_litellm(given: Attributes, meaning: Meaning) -> None:
    """LiteLLM's span: the real model (gen_ai's may be an alias of the proxy's), and the usage's details as Python
    prints them."""
    head, _, model = text_of(given["litellm.provider.model"]).partition("/")
    meaning.model = model or head or meaning.model
    if model and not meaning.provider:
        meaning.provider = provider_of(head)
    usage = text_of(given.get(keys.LITELLM_USAGE))
    if meaning.cached_tokens is None and (found := _CACHED.search(usage)):
        meaning.cached_tokens = number_of(found[1])
    if meaning.reasoning_tokens is None and (found := _REASONING.search(usage)):
        meaning.reasoning_tokens = number_of(found[1])


def read_langfuse(given: Attributes, meaning: Meaning) -> None:
    """langfuse's span: usage and cost are JSON objects."""
    usage = json_object(given, keys.LANGFUSE_USAGE)
    if meaning.input_tokens is None:
        meaning.input_tokens = first_number(usage, keys.LANGFUSE_INPUT)
    if meaning.output_tokens is None:
        meaning.output_tokens = first_number(usage, keys.LANGFUSE_OUTPUT)
    if meaning.cached_tokens is None:
        meaning.cached_tokens = first_number(usage, keys.LANGFUSE_CACHED)
    if meaning.reasoning_tokens is None:
        meaning.reasoning_tokens = first_number(usage, keys.LANGFUSE_REASONING)
    if meaning.cost_usd is None:
        meaning.cost_usd = amount_of(json_object(given, keys.LANGFUSE_COST).get("total"))
