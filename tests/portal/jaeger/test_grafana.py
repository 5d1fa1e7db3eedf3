"""What Grafana's Jaeger data source asks, and that it can read the answers.

Its plugin is in no registry. The requests and structures here are those of its public source, grafana/grafana:

- pkg/tsdb/jaeger/client.go (commit 611dfb82): services, operations, search, trace, dependencies.
- pkg/tsdb/jaeger/grpc_client.go (08c16cea): the same from `/api/v3`, behind the toggle jaegerEnableGrpcEndpoint.
- pkg/tsdb/jaeger/types/types.go (12ccb7cf) and types/grpc_types.go (d7ada6bc): what they decode into.
- pkg/tsdb/jaeger/utils/client_utils.go (371fe3ea): which reads the first span of each trace, and would fail without.
- public/app/plugins/datasource/jaeger/datasource.ts, from before that backend: the same requests from the browser.

Go decodes null and what is missing into nothing, and leaves what it does not know; a value of another type is an error.
"""

import json
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from tests.portal.jaeger.client import Jaeger, window
from tests.records import rows

pytestmark = pytest.mark.django_db(transaction=True)


class KeyValue(msgspec.Struct):
    key: str = ""
    type: str = ""
    value: Any = None


class Process(msgspec.Struct):
    serviceName: str = ""
    tags: list[KeyValue] | None = None


class Reference(msgspec.Struct):
    refType: str = ""
    spanID: str = ""
    traceID: str = ""


class Log(msgspec.Struct):
    timestamp: int = 0
    fields: list[KeyValue] | None = None
    name: str = ""


class Span(msgspec.Struct):
    traceID: str = ""
    spanID: str = ""
    processID: str = ""
    operationName: str = ""
    startTime: int = 0
    duration: int = 0
    logs: list[Log] | None = None
    references: list[Reference] | None = None
    tags: list[KeyValue] | None = None
    warnings: list[str] | None = None
    flags: int = 0
    stackTraces: list[str] | None = None


class Trace(msgspec.Struct):
    processes: dict[str, Process] | None = None
    traceID: str = ""
    warnings: list[str] | None = None
    spans: list[Span] | None = None


class Dependency(msgspec.Struct):
    parent: str = ""
    child: str = ""
    callCount: int = 0


class Error(msgspec.Struct):
    code: int = 0
    msg: str = ""


class Services(msgspec.Struct):
    data: list[str] | None = None
    errors: Any = None
    limit: int = 0
    offset: int = 0
    total: int = 0


class Traces(msgspec.Struct):
    data: list[Trace] | None = None
    errors: Any = None
    limit: int = 0
    offset: int = 0
    total: int = 0


class Dependencies(msgspec.Struct):
    data: list[Dependency] | None = None
    errors: list[Error] | None = None


class Grafana:
    """The backend of the data source: it joins the path to its URL, and writes parameters in the order of their
    names, those that are empty left out."""

    def __init__(self, jaeger: Jaeger) -> None:
        self.jaeger = jaeger

    def get(self, path: str, shape: Any, **params: str | int) -> Any:
        given = {name: value for name, value in sorted(params.items()) if value}
        return self.decoded(f"{path}?{urlencode(given)}" if given else path, shape)

    def decoded(self, address: str, shape: Any) -> Any:
        return msgspec.json.decode(json.dumps(self.jaeger.ask(address)), type=shape)

    def search(self, **params: str | int) -> list[Trace]:
        found: list[Trace] = self.get("/api/traces", Traces, **params).data
        for trace in found:
            assert trace.spans
            first = min(trace.spans, key=lambda span: span.startTime)
            assert trace.processes
            assert trace.processes[first.processID].serviceName
        return found


def length(trace: Trace) -> int:
    """How long a trace took, in microseconds."""
    spans = trace.spans or []
    return max(span.startTime + span.duration for span in spans) - min(span.startTime for span in spans)


@pytest.fixture
def grafana(jaeger: Jaeger) -> Grafana:
    return Grafana(jaeger)


def test_services_and_operations_fill_the_form(grafana: Grafana) -> None:
    """Also "save and test", which asks for the services."""
    services = grafana.get("/api/services", Services).data
    assert "support-desk" in services
    for service in services:
        assert grafana.get(f"/api/services/{quote(service)}/operations", Services).data
    assert grafana.get("/api/services/test/service:1/operations", Services).data == []


def test_a_search_is_read_into_rows(grafana: Grafana) -> None:
    start, end = window()
    form: dict[str, str | int] = {"service": "support-desk", "operation": "answer-ticket", "limit": 20}
    every = grafana.search(start=start, end=end, **form)
    assert 0 < len(every) <= 20
    assert [one.traceID for one in grafana.search(**form)] == [
        one.traceID for one in every
    ]  # as its first version asked
    longest = max(every, key=length)
    bounds = {"minDuration": f"{length(longest) / 1000 - 1:.1f}ms", "maxDuration": "1h30m"}
    some = grafana.search(start=start, end=end, **bounds, **form)
    # Older ones may have come into the limit in place of the shorter.
    assert longest.traceID in {one.traceID for one in some} != {one.traceID for one in every}
    failed = grafana.search(start=start, end=end, tags=json.dumps({"error": "true"}), **form)
    wrong = {trace.hex for (trace,) in rows("SELECT trace_id FROM telemetry_trace WHERE errors > 0")}
    assert {one.traceID for one in failed} <= wrong
    for trace in failed:
        marks = [tag for span in trace.spans or [] for tag in span.tags or [] if tag.key == "error"]
        assert [(tag.type, tag.value) for tag in marks[:1]] == [("bool", True)]


def test_a_search_as_grafana_s_browser_wrote_it(grafana: Grafana) -> None:
    """A label beside the span of time, and no order of the parameters."""
    start, end = window()
    tags = quote(json.dumps({"error": "true"}), safe="")
    path = f"/api/traces?service=support-desk&tags={tags}&limit=5&start={start}&end={end}&lookback=custom"
    assert 0 < len(grafana.decoded(path, Traces).data) <= 5


def test_a_trace_is_found_by_its_id_with_and_without_a_time(grafana: Grafana) -> None:
    """The backend sends its time in milliseconds, the browser sent it in microseconds."""
    start, end = window()
    [wanted, *_] = grafana.search(service="code-review", limit=1)
    for times in ({}, {"start": start // 1000, "end": end // 1000}, {"start": start, "end": end}):
        [trace, *_] = grafana.get(f"/api/traces/{wanted.traceID}", Traces, **times).data
        assert trace == wanted
    roots = [span for span in wanted.spans or [] if not span.references]
    assert [len(span.spanID) for span in roots] == [16]
    others = [one for span in wanted.spans or [] for one in span.references or []]
    assert {one.refType for one in others} == {"CHILD_OF"}
    assert abs(max(span.startTime for span in wanted.spans or []) - timezone.now().timestamp() * 1e6) < 3.6e9


def test_the_graph_of_dependencies(grafana: Grafana) -> None:
    start, end = (one // 1000 for one in window())
    answer = grafana.get("/api/dependencies", Dependencies, endTs=end, lookback=end - start)
    assert not answer.errors
    [calls] = rows("SELECT count(*) FROM telemetry_span WHERE service = 'knowledge'")
    assert answer.data == [Dependency("support-desk", "knowledge", calls[0])]


def test_traces_whose_spans_are_gone_are_not_shown(grafana: Grafana) -> None:
    """Grafana's backend takes the first span of each trace, and the first trace of an answer, unseen."""
    [kept, gone, *_] = grafana.search(service="support-desk", limit=20)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM telemetry_span WHERE trace_id = %s", [gone.traceID])
    assert gone.traceID not in {one.traceID for one in grafana.search(service="support-desk", limit=20)}
    assert kept.traceID in {one.traceID for one in grafana.search(service="support-desk", limit=20)}
    assert grafana.jaeger.ask(f"/api/traces/{gone.traceID}", 404)["errors"]
    grafana.jaeger.ask(f"/api/v3/traces/{gone.traceID}", 404)


def test_the_requests_that_the_toggle_makes_of_them(grafana: Grafana) -> None:
    """`/api/v3`. That backend leaves times unescaped, and declares booleans and floats as texts, which no JSON of OTLP
    has: what it does with these is its own affair."""
    assert "support-desk" in grafana.jaeger.ask("/api/v3/services")["services"]
    names = [one["name"] for one in grafana.jaeger.ask("/api/v3/operations?service=support-desk")["operations"]]
    assert "answer-ticket" in names
    [wanted, *_] = grafana.search(service="support-desk", limit=1)
    now = timezone.now()
    times = f"start_time={now.isoformat()}&end_time={now.isoformat().replace('+00:00', 'Z')}"
    for query in ("", f"?{times}"):
        answer = grafana.jaeger.ask(f"/api/v3/traces/{wanted.traceID}{query}")
        assert "error" not in answer
        spans = [
            span
            for resource in answer["result"]["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        assert sorted(span["spanId"] for span in spans) == sorted(span.spanID for span in wanted.spans or [])
        assert all(int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) for span in spans)
