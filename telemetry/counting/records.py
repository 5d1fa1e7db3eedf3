"""The usage record that a span becomes; the way of records takes it from there, with their prices, bounds and clock."""

from __future__ import annotations

import uuid
from hashlib import blake2b
from typing import Any

from telemetry.conventions.errors import call_error, tool_error
from telemetry.conventions.keys import HTTP_METHOD
from telemetry.conventions.meaning import Meaning, first_number, first_text
from telemetry.otlp.signals import RawSpan, text_of
from usage.records.records import AnyRecord, Execution, GatewayRequest, LlmCall, ToolCall

MAX_USD = 1_000_000_000
YEAR = 31_536_000  # seconds; the longest that a record may take
_LITELLM_CALL = "litellm.call_id"


def digest(*parts: bytes) -> bytes:
    """16 bytes that stand for the parts."""
    return blake2b(b"\0".join(parts), digest_size=16).digest()


def event_of(span: RawSpan) -> uuid.UUID:
    """The usage event of a span: the same whenever it is sent. A LiteLLM call is one event, however it was reported."""
    call = text_of(span.attributes.get(_LITELLM_CALL))
    if call:
        return litellm_event(call)
    return uuid.UUID(bytes=digest(b"span", span.trace_id, span.span_id))


def litellm_event(call_id: str) -> uuid.UUID:
    """The usage event of a LiteLLM call."""
    return uuid.UUID(bytes=digest(b"litellm", call_id.encode(errors="replace")))


def record_of(span: RawSpan, meaning: Meaning) -> AnyRecord | None:
    """The record of a span that means something, whether it counts or not; None for others. It happened when the span
    ended."""
    common: dict[str, Any] = {
        "event_id": event_of(span),
        "at": span.end / 1e9,
        "team": meaning.team,
        "component": meaning.component,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "duration_seconds": min(max(0, span.end - span.start) / 1e9, YEAR),
    }
    if meaning.kind == "llm":
        error = call_error(span, meaning.error) if meaning.error else ""
        return LlmCall(
            **common,
            provider=meaning.provider,
            model=meaning.model,
            operation=meaning.operation,
            outcome={"": "success", "rate_limit": "rate_limited", "timeout": "timeout"}.get(error, "error"),
            error_type=error,
            prompt_tokens=meaning.input_tokens,
            completion_tokens=meaning.output_tokens,
            cached_tokens=meaning.cached_tokens,
            reasoning_tokens=meaning.reasoning_tokens,
            cost_usd=meaning.cost_usd if (meaning.cost_usd or 0) <= MAX_USD else None,
        )
    if meaning.kind == "tool":
        error = tool_error(meaning.error) if meaning.error else ""
        outcome = {"": "success", "timeout": "timeout"}.get(error, "error")
        return ToolCall(**common, server_id=meaning.server, tool_name=meaning.tool, outcome=outcome, error_kind=error)
    if meaning.kind == "agent":
        return Execution(**common, agent_id=meaning.agent, status="failed" if meaning.error else "completed")
    if meaning.kind in ("gateway", "server"):
        # The framework's own word, not an error of the category `error.code`.
        status = first_number(span.attributes, ("http.response.status_code", "http.status_code"))
        method = first_text(span.attributes, HTTP_METHOD)
        return GatewayRequest(
            **common, gateway_id=meaning.service, method=method, status="" if status is None else status
        )
    return None
