"""Content: prompts, completions, embeddings, tool arguments and headers. Dropped on arrival, or kept apart and masked.

Whether an attribute is content is decided by its name alone and remembered per name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2

from telemetry.otlp.signals import Attributes, Value

_NAMES = frozenset(
    {
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text",
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.prompt_template.variables",
        "llm.function_call",
        "hidden_params",
        "final_result",
        "all_messages_events",
        "tool_arguments",
        "tool_response",
        "message.content",
        "model_request_parameters",
        "logfire.json_schema",
        "logfire.msg",
        "pydantic_ai.all_messages",
        "metadata.requester_custom_headers",
        "metadata.requester_metadata",
        "metadata.spend_logs_metadata",
        "metadata.prompt_management_metadata",
        "metadata.mcp_tool_call_metadata",
        "metadata.vector_store_request_metadata",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.prompt",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "db.statement",
        "db.query.text",
        "mcp.request.argument",
    }
)
_PREFIXES = (
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts.",
    "llm.completions.",
    "llm.tools",
    "embedding.embeddings",
    "retrieval.documents",
    "reranker.",
    "ai.prompt.",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.response.reasoning",
    "ai.response.files",
    "ai.request.headers.",
    "http.request.header.",
    "http.response.header.",
    "http.request.body",
    "http.response.body",
    "rpc.request.metadata.",
)
# LiteLLM's raw request: llm.<provider>.messages and the like.
_RAW = re.compile(
    r"llm\.[^.]+\.(?:messages|input|data|choices|content|prompt|system|tools|functions|contents|candidates|extra_body"
    r"|extra_headers|output)"
)
# Keys of well-known makers, bearer tokens, JSON web tokens, private keys; email addresses. Card numbers are checked by
# their sum besides.
_SECRETS = (
    r"\b(?:sk|pk|rk|llmu|ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf|gsk|AIza)[-_][A-Za-z0-9_\-]{10,}\b"
    r"|\bAIza[0-9A-Za-z_\-]{20,}\b|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/\-]{8,}=*"
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----"
    r"|[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}"
)
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
MASK = "[masked]"


@lru_cache(maxsize=10_000)
def is_content(name: str) -> bool:
    """Whether an attribute of this name holds what people or models wrote, or headers."""
    return name in _NAMES or name.startswith(_PREFIXES) or _RAW.fullmatch(name) is not None


def split(given: Attributes) -> tuple[Attributes, Attributes]:
    """Attributes without content, and the content."""
    content = {name: value for name, value in given.items() if is_content(name)}
    return ({name: value for name, value in given.items() if name not in content}, content) if content else (given, {})


@lru_cache(maxsize=8)
def _patterns(own: str) -> Any:
    return re2.compile(f"{_SECRETS}|{own}" if own else _SECRETS)


def masked_text(text: str, own: str = "") -> str:
    """A text with keys, email addresses, card numbers and what the operator's own pattern matches masked."""
    return _CARD.sub(_masked_card, str(_patterns(own).sub(MASK, text)))


def _masked_card(found: re.Match[str]) -> str:
    digits = [int(one) for one in found[0] if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return found[0] if (sum(digits[-1::-2]) + sum(doubled)) % 10 else MASK


def masked(value: Value, own: str = "") -> Value:
    """A value with every text in it masked."""
    if isinstance(value, str):
        return masked_text(value, own)
    if isinstance(value, list):
        return [masked(one, own) for one in value]
    if isinstance(value, dict):
        return {name: masked(one, own) for name, one in value.items()}
    return value
