"""The clients for which the page has a snippet. The snippets lie beside this module, a file each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SNIPPETS = Path(__file__).parent / "snippets"
URL, KEY = "PORTAL_URL", "PORTAL_KEY"


@dataclass(frozen=True)
class Client:
    """A client: its name, and what one should know beside the snippet."""

    slug: str
    name: str
    note: str = ""

    @cached_property
    def text(self) -> str:
        """The snippet, with URL and KEY in place of the portal's address and the API key."""
        return (SNIPPETS / f"{self.slug}.txt").read_text().rstrip()

    def snippet(self, url: str, key: str) -> str:
        """The snippet for a portal (its address without a trailing slash) and a key."""
        return self.text.replace(URL, url).replace(KEY, key)


CLIENTS = (
    Client(
        "otel-python",
        "OpenTelemetry SDK, Python",
        "Instruments what is installed, such as the OpenAI SDK; needs no line of code.",
    ),
    Client("otel-js", "OpenTelemetry SDK, JavaScript"),
    Client("collector", "OpenTelemetry Collector", "What already arrives at your collector comes here as well."),
    Client("openinference", "OpenAI SDK with OpenInference"),
    Client(
        "openllmetry",
        "OpenAI SDK with OpenLLMetry",
        "Sends prompts unless TRACELOOP_TRACE_CONTENT=false; the portal drops them by default.",
    ),
    Client("genai", "OpenAI SDK with OpenTelemetry's GenAI instrumentation"),
    Client("langchain", "LangChain"),
    Client("litellm", "LiteLLM proxy", "Either of the two; a call that comes both ways counts once."),
    Client("vercel", "Vercel AI SDK"),
    Client("pydantic-ai", "pydantic-ai"),
    Client("langfuse", "langfuse SDK", "The secret key is the API key; the public key is any name."),
    Client("mcp", "MCP SDK"),
    Client("curl", "curl, one span", "The shortest way to see that spans arrive."),
    Client("record", "curl, one usage record", "Without OpenTelemetry; see docs/api.md for all kinds of records."),
)
BY_SLUG = {client.slug: client for client in CLIENTS}
