"""LiteLLM's generic callback: a JSON array of its StandardLoggingPayload, read into the form of spans.

A call becomes the span that LiteLLM's own OpenTelemetry callback would send of it, so that it goes the same way.
"""

from __future__ import annotations

import uuid
from hashlib import blake2b
from typing import Any

import msgspec

from telemetry.otlp.signals import Attributes, RawSpan, Source, Unreadable, amount_of, text_of

CLIENT, ERROR, OK = 3, 2, 1  # OpenTelemetry's span kind and status codes
SOURCE = Source({"service.name": "litellm"}, "litellm")
DECODER = msgspec.json.Decoder(list[dict[str, Any]])


def spans(body: bytes) -> list[RawSpan]:
    """The calls of a callback's body. Raises Unreadable."""
    try:
        return [span_of(payload) for payload in DECODER.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a JSON array of StandardLoggingPayload: {error}") from error


def inner(payload: dict[str, Any], *path: str) -> dict[str, Any]:
    """An object within the payload; empty where there is none."""
    for name in path:
        found = payload.get(name)
        payload = found if isinstance(found, dict) else {}
    return payload


def identifier(text: str, size: int) -> bytes:
    """An id of some bytes: a UUID's own where it is one, else a digest of the text."""
    try:
        number = uuid.UUID(text).bytes
    except ValueError:
        number = b""
    return number if len(number) == size else blake2b(text.encode(errors="replace"), digest_size=size).digest()


def nanoseconds(seconds: Any) -> int:
    """Epoch seconds as nanoseconds; 0 for what is none."""
    amount = amount_of(seconds)
    return int(amount * 1e9) if amount is not None and amount < 1e10 else 0


def span_of(payload: dict[str, Any]) -> RawSpan:
    """A call as a span."""
    call = text_of(payload.get("litellm_call_id")) or text_of(payload.get("id"))
    failed = payload.get("status") == "failure"
    return RawSpan(
        SOURCE,
        identifier(text_of(payload.get("trace_id")) or call, 16),
        identifier(call, 8),
        b"",
        "litellm_request",
        CLIENT,
        nanoseconds(payload.get("startTime")),
        nanoseconds(payload.get("endTime")),
        ERROR if failed else OK,
        text_of(payload.get("error_str")) if failed else "",
        attributes_of(payload, call, failed),
        [],
        [],
    )


def attributes_of(payload: dict[str, Any], call: str, failed: bool) -> Attributes:
    """The attributes that LiteLLM's span of the call has; those that say nothing are left out."""
    usage = inner(payload, "metadata", "usage_object")
    metadata, error = inner(payload, "metadata"), inner(payload, "error_information")
    given = {
        "gen_ai.operation.name": payload.get("call_type"),
        "gen_ai.system": payload.get("custom_llm_provider"),
        "gen_ai.request.model": payload.get("model"),
        "gen_ai.response.model": inner(payload, "response").get("model"),
        "litellm.provider.model": inner(payload, "hidden_params").get("litellm_model_name"),
        "litellm.call_id": call,
        "gen_ai.usage.input_tokens": payload.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": payload.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": inner(usage, "prompt_tokens_details").get("cached_tokens"),
        "gen_ai.usage.reasoning_tokens": inner(usage, "completion_tokens_details").get("reasoning_tokens"),
        "gen_ai.cost.total_cost": payload.get("response_cost"),
        "session.id": payload.get("session_id"),
        "user.id": payload.get("end_user") or metadata.get("user_api_key_user_id"),
        "metadata.user_api_key_team_alias": metadata.get("user_api_key_team_alias"),
        "metadata.user_api_key_alias": metadata.get("user_api_key_alias"),
        "litellm.request_tags": payload.get("request_tags"),
        "litellm.model_group": payload.get("model_group"),
        "litellm.cache_hit": payload.get("cache_hit"),
        "error.type": (error.get("error_class") or "error") if failed else None,
        "error.code": error.get("error_code") if failed else None,
        "gen_ai.input.messages": payload.get("messages"),
        "gen_ai.output.messages": inner(payload, "response").get("choices"),
    }
    return {name: value for name, value in given.items() if value not in (None, "", [])}
