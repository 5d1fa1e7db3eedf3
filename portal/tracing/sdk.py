"""The SDK and its instrumentations, as this portal uses them. Only imported where the portal is traced."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from core.net import tracing
from core.net.tracing import Value

MIDDLEWARE = "portal.tracing.requests.RequestSpans"
STATEMENT_LETTERS = 2_000
_NOTHING = nullcontext()


class SdkTracer:
    """Makes the portal's own spans. In a trace that is not kept it makes none: they would only cost."""

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer = provider.get_tracer("llm_usage_portal")

    def span(self, name: str, attributes: dict[str, Value], client: bool) -> AbstractContextManager[object]:
        """A span around a block, a child of the current one, or the root of a new trace."""
        current = trace.get_current_span().get_span_context()
        if current.is_valid and not current.trace_flags.sampled:
            return _NOTHING
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        return self.tracer.start_as_current_span(name, kind=kind, attributes=attributes)

    def statement(self, text: str) -> AbstractContextManager[object]:
        """A span around a statement of a trace that is kept. One that belongs to no trace (the queue is asked several
        times a second) makes none of its own."""
        return self._statement(text) if trace.get_current_span().is_recording() else _NOTHING

    @contextmanager
    def _statement(self, text: str) -> Iterator[None]:
        text = text.strip()
        span = self.tracer.start_span(
            "".join(text.split(maxsplit=1)[:1]).upper(),
            kind=trace.SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": text[:STATEMENT_LETTERS]},
        )
        try:
            yield
        except Exception as error:
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR, str(error))
            raise
        finally:
            span.end()

    def context_headers(self) -> dict[str, str]:
        """The current span as W3C trace context."""
        headers: dict[str, str] = {}
        inject(headers)
        return headers


def trace_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Have a connection's statements make spans. `connection` outlives a connection, and comes again with the next."""
    if traced_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(traced_statement)


def traced_statement(execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
    """A statement of Django's cursor; its values are not in `sql`."""
    with tracing.statement(str(sql)):
        return execute(sql, *rest)


class _Running:
    provider: TracerProvider | None = None


def start() -> None:
    """Trace this process: requests, statements, Celery, httpx, and the portal's own steps. The SDK reads OTEL_*."""
    if _Running.provider is not None:
        return
    provider = _Running.provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(headers={"traceparent": unsampled()})))
    trace.set_tracer_provider(provider)
    settings.MIDDLEWARE.insert(0, MIDDLEWARE)
    connection_created.connect(trace_statements)
    CeleryInstrumentor().instrument(tracer_provider=provider)
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
