"""What kind of work a span is, by the first convention that says so."""

from __future__ import annotations

from typing import Literal

from telemetry.otlp.signals import RawSpan, text_of

Kind = Literal["llm", "tool", "agent", "gateway", "server", ""]

# What a message of MCP asks for, and the one that calls a tool.
MCP_METHOD, MCP_CALL = "mcp.method.name", "tools/call"
SERVER = 2  # OpenTelemetry's kind of a span that serves a request
# Operation names and what they are called here; LiteLLM has its own.
LLM_OPERATIONS = {
    "chat": "chat",
    "generate_content": "generate_content",
    "text_completion": "text_completion",
    "embeddings": "embeddings",
    "completion": "chat",
    "acompletion": "chat",
    "aembedding": "embeddings",
    "embedding": "embeddings",
    "atext_completion": "text_completion",
}
AGENT_OPERATIONS = ("invoke_agent", "invoke_workflow")
OPENINFERENCE: dict[str, tuple[Kind, str]] = {
    "LLM": ("llm", "chat"),
    "EMBEDDING": ("llm", "embeddings"),
    "TOOL": ("tool", "execute_tool"),
    "AGENT": ("agent", "invoke_agent"),
}
TRACELOOP: dict[str, tuple[Kind, str]] = {
    "tool": ("tool", "execute_tool"),
    "agent": ("agent", "invoke_agent"),
    "workflow": ("agent", "invoke_workflow"),
}
LANGFUSE: dict[str, tuple[Kind, str]] = {
    "generation": ("llm", "chat"),
    "embedding": ("llm", "embeddings"),
    "tool": ("tool", "execute_tool"),
    "agent": ("agent", "invoke_agent"),
}
VERCEL: dict[str, tuple[Kind, str]] = {
    "ai.toolCall": ("tool", "execute_tool"),
    "ai.generateText": ("agent", "invoke_agent"),
    "ai.streamText": ("agent", "invoke_agent"),
    "ai.generateObject": ("agent", "invoke_agent"),
    "ai.streamObject": ("agent", "invoke_agent"),
}
PYDANTIC_AI: dict[str, tuple[Kind, str]] = {
    "agent run": ("agent", "invoke_agent"),
    "running tool": ("tool", "execute_tool"),
}
LITELLM_PROXY = "Received Proxy Server Request"


def kind_of(span: RawSpan) -> tuple[Kind, str]:
    """The kind and the operation of a span; a "server" span is a gateway's where a model is called below it. Empty:
    none of these."""
    given = span.attributes
    operation = text_of(given.get("gen_ai.operation.name"))
    if operation in LLM_OPERATIONS:
        return "llm", LLM_OPERATIONS[operation]
    if operation in AGENT_OPERATIONS:
        return "agent", operation
    if operation == "execute_tool" or given.get(MCP_METHOD) == MCP_CALL:
        return "tool", "execute_tool"
    if operation:
        return "", operation
    found = by_library(span)
    if found is not None:
        return found
    if span.kind == SERVER:
        if span.name == LITELLM_PROXY:
            return "gateway", ""
        if "http.route" in given or "http.response.status_code" in given or "http.status_code" in given:
            return "server", ""
    return "", ""


def by_library(span: RawSpan) -> tuple[Kind, str] | None:
    """What the conventions of a library say, or None."""
    given = span.attributes
    for name, table in (("openinference.span.kind", OPENINFERENCE), ("traceloop.span.kind", TRACELOOP)):
        if name in given:
            return table.get(text_of(given[name]), ("", ""))
    if "llm.request.type" in given:
        return "llm", LLM_OPERATIONS.get(text_of(given["llm.request.type"]), "chat")
    if "ai.operationId" in given:
        operation = text_of(given["ai.operationId"])
        if operation.endswith((".doGenerate", ".doStream")):
            return "llm", "chat"
        if operation.endswith(".doEmbed"):
            return "llm", "embeddings"
        return VERCEL.get(operation, ("", ""))
    if "langfuse.observation.type" in given:
        return LANGFUSE.get(text_of(given["langfuse.observation.type"]), ("", ""))
    return PYDANTIC_AI.get(span.name)
