"""Jaeger's newer query API, asked as newer versions of its UI ask it, answered as they check it.

jaeger-ui's packages/jaeger-ui/src/api/v3/client.ts (commits 0194914a, older names of parameters, and later ones) makes
the requests; schemas.ts (014e1f3a) refuses what is not of the shapes below. Names and errors are those of jaeger-idl's
proto/api_v3/query_service.proto (000e4dae) and of Jaeger's gateway, apiv3/query_parser.go (09d5bfb1).
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.accounts.keys import create_key
from core.accounts.models import Workspace
from tests.portal.jaeger.client import Jaeger, window
from tests.records import rows, scalar
from tests.telemetry.conftest import JSON, Exporter
from tests.telemetry.otlp.test_protocol import chat, request

pytestmark = pytest.mark.django_db(transaction=True)

TraceId = Annotated[str, msgspec.Meta(pattern="^(?!0+$)[0-9a-f]{32}$")]
SpanId = Annotated[str, msgspec.Meta(pattern="^(?!0+$)[0-9a-f]{16}$")]
Nanoseconds = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]
Int64 = Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,19}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]
VALUES = {"stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue"}


class Values(msgspec.Struct):
    values: list["AnyValue"] = []


class Pairs(msgspec.Struct):
    values: list["KeyValue"] = []


class AnyValue(msgspec.Struct, omit_defaults=True):
    """Exactly one of these."""

    stringValue: str | None = None
    boolValue: bool | None = None
    intValue: Int64 | None = None
    doubleValue: float | None = None
    arrayValue: Values | None = None
    kvlistValue: Pairs | None = None
    bytesValue: str | None = None

    def __post_init__(self) -> None:
        assert len(msgspec.to_builtins(self)) == 1


class KeyValue(msgspec.Struct):
    key: str
    value: AnyValue


class Resource(msgspec.Struct, frozen=True):
    attributes: list[KeyValue] = []


class Scope(msgspec.Struct, frozen=True):
    name: str = ""


class Event(msgspec.Struct):
    timeUnixNano: Nanoseconds
    name: str
    attributes: list[KeyValue] = []


class Link(msgspec.Struct):
    traceId: TraceId
    spanId: SpanId
    attributes: list[KeyValue] = []


class Status(msgspec.Struct, frozen=True):
    message: str = ""
    code: Count = 0


class Span(msgspec.Struct):
    traceId: TraceId
    spanId: SpanId
    name: str
    kind: Count
    startTimeUnixNano: Nanoseconds
    endTimeUnixNano: Nanoseconds
    parentSpanId: SpanId | None = None
    attributes: list[KeyValue] = []
    events: list[Event] = []
    links: list[Link] = []
    status: Status = Status()


class ScopeSpans(msgspec.Struct):
    spans: list[Span]
    scope: Scope = Scope()


class ResourceSpans(msgspec.Struct):
    scopeSpans: list[ScopeSpans]
    resource: Resource = Resource()


class TracesData(msgspec.Struct):
    resourceSpans: list[ResourceSpans]


class Result(msgspec.Struct, forbid_unknown_fields=True):
    result: TracesData


class ServiceSummary(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    spanCount: Count
    errorSpanCount: Count


class TraceSummary(msgspec.Struct, forbid_unknown_fields=True):
    traceId: TraceId
    rootServiceName: str
    rootOperationName: str
    minStartTimeUnixNano: Nanoseconds
    maxEndTimeUnixNano: Nanoseconds
    spanCount: Count
    errorSpanCount: Count
    orphanSpanCount: Count
    services: list[ServiceSummary]


class Summaries(msgspec.Struct, forbid_unknown_fields=True):
    summaries: list[TraceSummary]


def spans_of(jaeger: Jaeger, path: str) -> list[Span]:
    found = msgspec.json.decode(json.dumps(jaeger.ask(path)), type=Result).result.resourceSpans
    return [span for resource in found for scope in resource.scopeSpans for span in scope.spans]


def summaries(jaeger: Jaeger, **query: str) -> list[TraceSummary]:
    path = f"/api/v3/trace-summaries?{urlencode({f'query.{name}': text for name, text in query.items()})}"
    return msgspec.json.decode(json.dumps(jaeger.ask(path)), type=Summaries).summaries


def iso(microseconds: int) -> str:
    """As JavaScript's toISOString writes it."""
    at = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def now() -> dict[str, str]:
    """The times of a span."""
    at = window()[1] * 1000
    return {"startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 1_000_000)}


def last_hour() -> dict[str, str]:
    start, end = window()
    return {"startTimeMin": iso(start), "startTimeMax": iso(end + 1000)}


def test_services_and_operations(jaeger: Jaeger) -> None:
    names = ["chat-widget", "code-review", "knowledge", "nightly-summaries", "support-desk"]
    assert jaeger.ask("/api/v3/services") == {"services": names}
    found = jaeger.ask("/api/v3/operations?service=support%2Ddesk")["operations"]
    assert {"name": "answer-ticket", "spanKind": "server"} in found
    for name in ("spanKind", "span_kind"):
        served = jaeger.ask(f"/api/v3/operations?service=support-desk&{name}=server")
        assert served == {"operations": [{"name": "answer-ticket", "spanKind": "server"}]}
    assert jaeger.ask("/api/v3/operations?service=no%20such%20%26%20other") == {"operations": []}


def test_the_list_of_a_search(jaeger: Jaeger) -> None:
    found = summaries(
        jaeger, serviceName="support-desk", operationName="answer-ticket", searchDepth="20", **last_hour()
    )
    assert len(found) == min(20, scalar("SELECT count(*) FROM telemetry_trace WHERE root_name = 'answer-ticket'"))
    assert {(one.rootServiceName, one.rootOperationName, one.orphanSpanCount) for one in found} == {
        ("support-desk", "answer-ticket", 0)
    }
    for one in found:
        spans, errors, micros = rows(
            "SELECT count(*), count(*) FILTER (WHERE status = 2), extract(epoch FROM min(start)) * 1000000"
            " FROM telemetry_span WHERE trace_id = %s",
            one.traceId,
        )[0]
        assert (one.spanCount, one.errorSpanCount) == (spans, errors)
        assert int(one.minStartTimeUnixNano) == int(micros) * 1000 <= int(one.maxEndTimeUnixNano)
        assert sum(service.spanCount for service in one.services) == spans
        assert [service.name for service in one.services] == sorted(service.name for service in one.services)
    failed = summaries(jaeger, serviceName="support-desk", attributes='{"error":"true"}', **last_hour())
    assert failed
    assert all(one.errorSpanCount for one in failed)


def test_a_search_under_the_older_names_finds_the_same(jaeger: Jaeger) -> None:
    newer = {"serviceName": "support-desk", "operationName": "answer-ticket", "searchDepth": "5", "durationMin": "1.5s"}
    older = {"service_name": "support-desk", "span_name": "answer-ticket", "num_traces": "5", "duration_min": "1500ms"}
    times = last_hour()
    found = summaries(jaeger, **newer, **times)
    assert 0 < len(found) <= 5
    assert found == summaries(
        jaeger, **older, start_time_min=times["startTimeMin"], start_time_max=times["startTimeMax"]
    )
    assert {one.traceId for one in summaries(jaeger, durationMax="1m0.5s", **times)} > {one.traceId for one in found}


def test_traces_as_otlp(jaeger: Jaeger) -> None:
    query = urlencode({f"query.{name}": text for name, text in last_hour().items()})
    spans = spans_of(jaeger, f"/api/v3/traces?query.service_name=support-desk&query.search_depth=3&{query}")
    ids = [*dict.fromkeys(span.traceId for span in spans)]
    assert len(ids) == 3
    for trace_id in ids:
        own = spans_of(jaeger, f"/api/v3/traces/{trace_id}?rawTraces=true")
        assert {span.spanId for span in own} == {span.spanId for span in spans if span.traceId == trace_id}
        assert len([span for span in own if span.parentSpanId is None]) == 1
    assert spans_of(jaeger, f"/api/v3/traces/{ids[0].lstrip('0')}")


def test_a_link_that_leads_nowhere_spoils_no_trace(tables: None) -> None:
    workspace = Workspace.objects.create(slug="demo", name="Demo")
    exporter = Exporter(create_key("key", workspace, ["ingest"])[1], Client())
    links = [{"traceId": "", "spanId": ""}, {"traceId": "ab" * 16, "spanId": "cd" * 8}]
    span = chat(1, **now(), links=links)
    assert exporter.post("/v1/traces", request(span), JSON).status_code == 200
    [found] = spans_of(Jaeger(), f"/api/v3/traces/{span['traceId']}")
    assert [(link.traceId, link.spanId) for link in found.links] == [("ab" * 16, "cd" * 8)]


def test_spans_without_their_parent_are_counted(tables: None) -> None:
    workspace = Workspace.objects.create(slug="demo", name="Demo")
    exporter = Exporter(create_key("key", workspace, ["ingest"])[1], Client())
    span = chat(1, **now(), parentSpanId="ab" * 8)
    assert exporter.post("/v1/traces", request(span), JSON).status_code == 200
    [found] = summaries(Jaeger(), **last_hour())
    assert (found.spanCount, found.orphanSpanCount) == (1, 1)


def test_dependencies_count_as_text(jaeger: Jaeger) -> None:
    start, end = window()
    [calls] = rows("SELECT count(*) FROM telemetry_span WHERE service = 'knowledge'")
    link = {"parent": "support-desk", "child": "knowledge", "callCount": str(calls[0])}
    for names in (("startTime", "endTime"), ("start_time", "end_time")):
        times = f"{names[0]}={iso(start)}&{names[1]}={iso(end + 1000)}"
        assert jaeger.ask(f"/api/v3/dependencies?{times}") == {"dependencies": [link]}
    assert Jaeger("elsewhere").ask(f"/api/v3/dependencies?startTime={iso(start)}&endTime={iso(end)}") == {
        "dependencies": []
    }


def test_what_is_wrong_is_answered_as_the_gateway_does(jaeger: Jaeger) -> None:
    times = "query.startTimeMin=2026-01-01T00:00:00Z&query.startTimeMax=2026-01-01T01:00:00.123456789%2B01:00"
    none = {"error": {"httpCode": 404, "message": "No traces found", "httpStatus": "Not Found"}}
    assert jaeger.ask(f"/api/v3/traces/{'0' * 31}1", 404) == none
    assert jaeger.ask(f"/api/v3/traces?{times}", 404) == none
    assert jaeger.ask(f"/api/v3/trace-summaries?{times}") == {"summaries": []}
    for path, named in (
        ("/api/v3/operations", "service"),
        ("/api/v3/traces", "query.startTimeMin"),
        ("/api/v3/trace-summaries?query.startTimeMin=2026-01-01T00:00:00Z", "query.startTimeMax"),
        (f"/api/v3/traces?{times}&query.attributes=%7B", "query.attributes"),
        (f"/api/v3/traces?{times}&query.durationMin=long", "query.durationMin"),
        (f"/api/v3/traces?{times}&query.searchDepth=x", "query.searchDepth"),
        (f"/api/v3/traces?{times}&query.filter=%7B%7D", "query.filter"),
        ("/api/v3/traces/1?start_time=now", "startTime"),
        ("/api/v3/dependencies?startTime=2026-01-01T00:00:00Z&endTime=2025-01-01T00:00:00Z", "endTime"),
        ("/api/v3/dependencies?startTime=2026-01-01T00:00:00&endTime=2027-01-01T00:00:00Z", "startTime"),
        ("/api/v3/dependencies?startTime=0001-01-01T00:00:00%2B23:00&endTime=2027-01-01T00:00:00Z", "startTime"),
    ):
        error = jaeger.ask(path, 400)["error"]
        assert (error["httpCode"], error["httpStatus"]) == (400, "Bad Request")
        assert named in error["message"]
    assert Client().get("/api/v3/services").status_code == 401
    assert Client().post("/api/v3/services").status_code == 405


def test_a_key_sees_its_own_workspace_only_by_as_many_queries_as_for_one(jaeger: Jaeger) -> None:
    other = Jaeger("elsewhere")
    assert other.ask("/api/v3/services") == {"services": []}
    assert summaries(other, **last_hour()) == []
    [trace_id] = [one.traceId for one in summaries(jaeger, searchDepth="1", **last_hour())]
    other.ask(f"/api/v3/traces/{trace_id}", 404)
    counted: list[Any] = []
    for depth in ("1", "100"):
        with CaptureQueriesContext(connection) as captured:
            assert summaries(jaeger, searchDepth=depth, **last_hour())
        counted.append(len(captured))
    assert counted[0] == counted[1]
