"""The SDK and its instrumentations, as this portal uses them. Only imported where the portal is traced."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from core.net import tracing
from core.net.tracing import Value

# Asked for every few seconds by machines; a trace of each says nothing.
QUIET_URLS = "healthz,readyz,metrics,static/"


class SdkTracer:
    """Makes the portal's own spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer = provider.get_tracer("llm_usage_portal")

    @contextmanager
    def span(self, name: str, attributes: dict[str, Value], client: bool) -> Iterator[None]:
        """A span around a block, a child of the current one; none in a trace that is not sampled, where it would only
        cost."""
        current = trace.get_current_span().get_span_context()
        if current.is_valid and not current.trace_flags.sampled:
            yield
            return
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        with self.tracer.start_as_current_span(name, kind=kind, attributes=attributes):
            yield

    def context_headers(self) -> dict[str, str]:
        """The current span as W3C trace context."""
        headers: dict[str, str] = {}
        inject(headers)
        return headers


class _Running:
    provider: TracerProvider | None = None


def start() -> None:
    """Trace this process: Django, Celery, psycopg, httpx, and the portal's own steps. The SDK reads OTEL_*."""
    if _Running.provider is not None:
        return
    provider = _Running.provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(headers={"traceparent": unsampled()})))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(tracer_provider=provider, excluded_urls=QUIET_URLS)
    CeleryInstrumentor().instrument(tracer_provider=provider)
    PsycopgInstrumentor().instrument(tracer_provider=provider)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    tracing.use(SdkTracer(provider))


def finish() -> None:
    """Send what is waiting."""
    if _Running.provider is not None:
        _Running.provider.shutdown()


def unsampled() -> str:
    """The context of a trace that is not sampled, which requests of the exporter carry: where they come to this portal
    itself, or to another traced service, receiving spans makes no spans that would have to be sent again."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
