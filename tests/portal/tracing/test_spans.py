"""What spans are made of a request and its statements, and that a trace that is not kept makes none."""

from collections.abc import Iterator

import pytest
from django.db import ProgrammingError, connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import resolve
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler

from core.net import tracing
from core.pg.binary_copy import copied
from core.pg.statements import prepared
from portal.tracing.requests import RequestSpans
from portal.tracing.sdk import STATEMENT_LETTERS, SdkTracer, trace_statements

TRACE, CALLER = "5f2d" * 8, "ab" * 8


class Traced:
    """The middleware around a view, and the spans that came of it."""

    def __init__(self, sampler: Sampler) -> None:
        provider, self.exporter = TracerProvider(sampler=sampler), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracing.use(SdkTracer(provider))
        self.handed_on: dict[str, str] = {}
        self.middleware = RequestSpans(self.view)
        self.middleware.tracer = provider.get_tracer("test")

    def view(self, request: HttpRequest) -> HttpResponse:
        self.handed_on = tracing.context_headers()
        request.resolver_match = resolve("/api/v1/usage")
        if "fail" in request.GET:
            self.middleware.process_exception(request, ValueError("no"))
            return HttpResponse(status=500)
        with connection.cursor() as cursor, tracing.span("ingest", records=2):
            cursor.execute("SELECT %s", [7])
            prepared("  \n WITH a AS (SELECT %s AS b) SELECT b FROM a", ["secret"])
            copied(cursor, "SELECT 1::bigint AS a, 2.0::float8 AS b", ["a"], ["b"])
        return HttpResponse("x")

    def ask(self, flags: str = "", path: str = "/api/v1/usage?secret=1", method: str = "POST") -> list[ReadableSpan]:
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"} if flags else {}
        self.middleware(RequestFactory(headers=headers).generic(method, path))
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def traced(db: None) -> Iterator[Traced]:
    """Kept is what the caller keeps."""
    before = list(connection.execute_wrappers)
    trace_statements(connection)
    trace_statements(connection)  # it comes again with each new connection
    assert len(connection.execute_wrappers) == len(before) + 1
    yield Traced(ParentBased(ALWAYS_OFF))
    connection.execute_wrappers[:] = before
    tracing.use(None)


def test_a_request_continues_its_callers_trace_and_says_what_it_did(traced: Traced) -> None:
    *statements, step, request = traced.ask("01")
    assert request.context is not None
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, CALLER)
    assert traced.handed_on == {"traceparent": f"00-{TRACE}-{request.context.span_id:016x}-01"}
    assert (request.name, request.kind) == ("POST api/v1/usage", trace.SpanKind.SERVER)
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "url.path": "/api/v1/usage",
        "url.scheme": "http",
        "http.route": "api/v1/usage",
        "http.response.status_code": 200,
    }
    assert (step.name, dict(step.attributes or {})) == ("ingest", {"portal.records": 2})
    assert [one.name for one in statements] == ["SELECT", "WITH", "COPY"]
    assert {one.parent.span_id for one in statements if one.parent} == {step.context.span_id if step.context else 0}
    assert dict(statements[1].attributes or {}) == {
        "db.system.name": "postgresql",
        "db.query.text": "WITH a AS (SELECT %s AS b) SELECT b FROM a",
    }


def test_a_request_that_fails_says_so(traced: Traced) -> None:
    [request] = traced.ask("01", "/api/v1/usage?fail")
    assert request.status.status_code is trace.StatusCode.ERROR
    assert (request.attributes or {})["error.type"] == "500"
    assert [dict(one.attributes or {})["exception.type"] for one in request.events] == ["ValueError"]


def test_a_method_that_nobody_knows_is_no_name_of_a_span(traced: Traced) -> None:
    assert traced.ask("01", method="BREW")[-1].name == "HTTP api/v1/usage"


@pytest.mark.parametrize("flags", ["00", ""])
def test_a_trace_that_is_not_kept_makes_no_spans_and_is_carried_on_as_such(traced: Traced, flags: str) -> None:
    assert traced.ask(flags) == []
    _, trace_id, _, kept = traced.handed_on["traceparent"].split("-")
    assert not int(kept, 16) & trace.TraceFlags.SAMPLED
    assert (trace_id == TRACE) is bool(flags)


def test_machines_that_look_whether_the_portal_lives_make_no_spans(traced: Traced) -> None:
    assert [traced.ask("01", path) for path in ("/healthz", "/readyz", "/metrics", "/static/core/base.css")] == [[]] * 4


def test_a_statement_outside_of_any_trace_makes_no_span(traced: Traced) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert traced.exporter.get_finished_spans() == ()


def test_a_statement_that_fails_carries_its_error_and_a_long_one_is_cut(traced: Traced) -> None:
    caller = trace.set_span_in_context(kept())
    with (
        traced.middleware.tracer.start_as_current_span("test", caller),
        pytest.raises(ProgrammingError),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT nothing FROM nowhere -- " + "x" * STATEMENT_LETTERS)
    failed, _ = traced.exporter.get_finished_spans()
    assert (failed.name, failed.status.status_code) == ("SELECT", trace.StatusCode.ERROR)
    [event] = failed.events
    assert dict(event.attributes or {})["exception.type"] == "django.db.utils.ProgrammingError"
    assert len(str((failed.attributes or {})["db.query.text"])) == STATEMENT_LETTERS


def kept() -> trace.Span:
    """What a caller that keeps its trace sends."""
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.NonRecordingSpan(trace.SpanContext(int(TRACE, 16), int(CALLER, 16), is_remote=True, trace_flags=flags))
