"""Providers under the names that records and prices use, whatever OpenTelemetry or a library calls them."""

from __future__ import annotations

NAMES = {
    "aws.bedrock": "aws",
    "amazon-bedrock": "aws",
    "bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "google.generative-ai": "google",
    "google.vertex": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "moonshot_ai": "moonshotai",
}
# The Vercel AI SDK names the provider's API behind a dot: openai.chat, anthropic.messages.
_APIS = (
    "chat",
    "embedding",
    "completion",
    "responses",
    "messages",
    "textEmbedding",
    "image",
    "speech",
    "transcription",
)


def provider_of(name: str) -> str:
    """A provider's name as labels have it."""
    head, _, tail = name.rpartition(".")
    plain = (head if head and tail in _APIS else name).lower()
    return NAMES.get(plain, plain)
