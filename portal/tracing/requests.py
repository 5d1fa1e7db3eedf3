"""A span for each request: the outermost middleware.

The SDK's own instrumentation of Django builds the attributes of a span, resolves the address a second time and writes
metrics before it knows whether the trace is kept, which costs an ingest request as much as storing a dozen records.
Here a request whose trace is not kept costs drawing that, and carrying it on.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from opentelemetry import context, trace
from opentelemetry.propagate import extract, get_global_textmap

# Asked for every few seconds by machines; a trace of each says nothing.
QUIET_PATHS = ("/healthz", "/readyz", "/metrics", "/static/")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestSpans:
    """The middleware: a span that continues the caller's trace, with the attributes of OpenTelemetry's conventions for
    HTTP servers. The query is left out: what people search for is in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.tracer = trace.get_tracer("llm_usage_portal")
        self.headers = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in get_global_textmap().fields}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The response, within a span."""
        if request.path.startswith(QUIET_PATHS):
            return self.get_response(request)
        carried = {name: request.META[key] for name, key in self.headers.items() if key in request.META}
        caller = extract(carried) if carried else context.Context()
        span = self.tracer.start_span("HTTP", caller, trace.SpanKind.SERVER)
        token = context.attach(trace.set_span_in_context(span, caller))
        try:
            response = self.get_response(request)
        finally:
            context.detach(token)
        if span.is_recording():
            describe(span, request, response)
        span.end()
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep what a view raised with the span."""
        trace.get_current_span().record_exception(exception)


def describe(span: trace.Span, request: HttpRequest, response: HttpResponseBase) -> None:
    """Say of a request what it was and what became of it."""
    method = request.method if request.method and request.method in METHODS else "_OTHER"
    route = request.resolver_match.route if request.resolver_match else ""
    span.update_name(f"{'HTTP' if method == '_OTHER' else method} {route}".rstrip())
    attributes = {"http.request.method": method, "url.path": request.path, "url.scheme": request.scheme or ""}
    if route:
        attributes["http.route"] = route
    span.set_attributes({**attributes, "http.response.status_code": response.status_code})
    if response.status_code >= 500:
        span.set_attribute("error.type", str(response.status_code))
        span.set_status(trace.StatusCode.ERROR)
