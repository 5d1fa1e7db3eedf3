"""Under which attribute names the facts of a span come, by preference: the first that is there holds.

The generations of the semantic conventions (gen_ai.*), OpenInference (llm.*), OpenLLMetry (traceloop.*), the Vercel AI
SDK (ai.*), LiteLLM and langfuse. docs/telemetry.md shows this table to operators.
"""

from __future__ import annotations

PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider")
MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
    "embedding.model_name",
    "ai.response.model",
    "ai.model.id",
    "langfuse.observation.model.name",
    "model_name",
)
# JSON objects that name the model where nothing else does (OpenInference says it of failed calls only there).
MODEL_IN_JSON = ("llm.invocation_parameters", "embedding.invocation_parameters")
INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
    "llm.usage.prompt_tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
    "llm.usage.completion_tokens",
)
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.cachedInputTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.reasoningTokens",
    "ai.usage.outputTokenDetails.reasoningTokens",
)
COST = ("gen_ai.cost.total_cost", "litellm.cost.total", "llm.cost.total")
TOOL = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name")
AGENT = (
    "gen_ai.agent.name",
    "gen_ai.workflow.name",
    "agent.name",
    "agent_name",
    "ai.telemetry.functionId",
    "traceloop.entity.name",
)
SESSION = ("gen_ai.conversation.id", "session.id", "langfuse.session.id")
USER = ("user.id", "llm.user", "langfuse.user.id", "enduser.id")
TEAM = ("team", "team.name", "metadata.user_api_key_team_alias", "metadata.team_alias")
HTTP_STATUS = ("http.response.status_code", "http.status_code", "error.code")
HTTP_METHOD = ("http.request.method", "http.method")
MCP_SERVER = ("mcp.server.name", "server.address", "net.peer.name")

# Of langfuse's usage_details, a JSON object.
LANGFUSE_USAGE = "langfuse.observation.usage_details"
LANGFUSE_INPUT = ("input", "prompt_tokens", "input_tokens")
LANGFUSE_OUTPUT = ("output", "completion_tokens", "output_tokens")
LANGFUSE_CACHED = ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read")
LANGFUSE_REASONING = ("output_reasoning_tokens", "reasoning_tokens")
LANGFUSE_COST = "langfuse.observation.cost_details"

# LiteLLM's SDK has the details of usage only here, as Python prints them.
LITELLM_USAGE = "metadata.usage_object"
