"""OTLP as JSON, decoded by msgspec and read into the one form.

JSON's own mapping of protobuf would take ids for base64; OTLP writes them in hex. Enums are numbers, 64-bit numbers may
be texts, names are in lowerCamelCase, and what is not known is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from telemetry.otlp.signals import (
    MAX_EVENTS,
    MAX_KIND,
    MAX_SEVERITY,
    MAX_STATUS,
    Attributes,
    Event,
    Link,
    Point,
    RawLog,
    RawMetric,
    RawSpan,
    Source,
    Unreadable,
    Value,
    enum_of,
    int64,
)

CUMULATIVE = 2
DEEPEST = 32  # levels of lists and mappings within an attribute
Whole = int | str | None
Real = float | str | None
T = TypeVar("T")


class Message(msgspec.Struct, rename="camel", gc=False):
    """A message of OTLP/JSON; every field may be missing or null."""


class ArrayValue(Message):
    values: list[AnyValue | None] | None = None


class KeyValueList(Message):
    values: list[KeyValue] | None = None


class AnyValue(Message):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Whole = None
    double_value: Real = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class KeyValue(Message):
    key: str | None = None
    value: AnyValue | None = None


class Resource(Message):
    attributes: list[KeyValue] | None = None


class Scope(Message):
    name: str | None = None


class Status(Message):
    code: int | None = None
    message: str | None = None


class SpanEvent(Message):
    name: str | None = None
    time_unix_nano: Whole = None
    attributes: list[KeyValue] | None = None


class SpanLink(Message):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[KeyValue] | None = None


class Span(Message):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Whole = None
    end_time_unix_nano: Whole = None
    status: Status | None = None
    attributes: list[KeyValue] | None = None
    events: list[SpanEvent] | None = None
    links: list[SpanLink] | None = None


class ScopeSpans(Message):
    scope: Scope | None = None
    spans: list[Span] | None = None


class ResourceSpans(Message):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class TraceRequest(Message):
    resource_spans: list[ResourceSpans] | None = None


class LogRecord(Message):
    time_unix_nano: Whole = None
    observed_time_unix_nano: Whole = None
    severity_number: int | None = None
    severity_text: str | None = None
    event_name: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class ScopeLogs(Message):
    scope: Scope | None = None
    log_records: list[LogRecord] | None = None


class ResourceLogs(Message):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None


class LogsRequest(Message):
    resource_logs: list[ResourceLogs] | None = None


class DataPoint(Message):
    attributes: list[KeyValue] | None = None
    start_time_unix_nano: Whole = None
    time_unix_nano: Whole = None
    count: Whole = None
    sum: Real = None
    as_int: Whole = None
    as_double: Real = None


class Points(Message):
    data_points: list[DataPoint] | None = None
    aggregation_temporality: int | None = None


class Metric(Message):
    name: str | None = None
    unit: str | None = None
    sum: Points | None = None
    histogram: Points | None = None
    exponential_histogram: Points | None = None


class ScopeMetrics(Message):
    scope: Scope | None = None
    metrics: list[Metric] | None = None


class ResourceMetrics(Message):
    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None


class MetricsRequest(Message):
    resource_metrics: list[ResourceMetrics] | None = None


_traces = msgspec.json.Decoder(TraceRequest)
_logs = msgspec.json.Decoder(LogsRequest)
_metrics = msgspec.json.Decoder(MetricsRequest)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """A message. Raises Unreadable."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not OTLP/JSON: {error}") from error


def hex_id(text: str | None) -> bytes:
    """An id; no hex becomes an id of no valid length."""
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b"?"


def real(value: Real) -> float:
    """A number that may be written as a text (NaN and the infinities are). Raises ValueError."""
    return float(value or 0)


def value_of(value: AnyValue | None, depth: int = 0) -> Value:
    """An attribute's value. Raises ValueError for a number that is none."""
    if value is None or depth > DEEPEST:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int64(value.int_value)
    if value.double_value is not None:
        return real(value.double_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.array_value is not None:
        return [value_of(one, depth + 1) for one in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return attributes_of(value.kvlist_value.values, depth + 1)
    return value.bytes_value


def attributes_of(pairs: Iterable[KeyValue] | None, depth: int = 0) -> Attributes:
    """Attributes by name; of two with one name the last one."""
    return {pair.key or "": value_of(pair.value, depth) for pair in pairs or ()}


def source_of(resource: Resource | None, scope: Scope | None) -> Source:
    """What sent it."""
    attributes = attributes_of(resource.attributes) if resource else {}
    return Source(attributes, (scope.name if scope else None) or "")


def spans(body: bytes) -> list[RawSpan]:
    """The spans of a request. Raises Unreadable."""
    return read(span_iterator(decoded(_traces, body)))


def logs(body: bytes) -> list[RawLog]:
    """The log records of a request. Raises Unreadable."""
    return read(log_iterator(decoded(_logs, body)))


def metrics(body: bytes) -> list[RawMetric]:
    """The sums and histograms of a request. Raises Unreadable."""
    return read(metric_iterator(decoded(_metrics, body)))


def read(found: Iterator[T]) -> list[T]:
    """All of them. Raises Unreadable for a number that is none."""
    try:
        return list(found)
    except ValueError as error:
        raise Unreadable(f"not OTLP/JSON: {error}") from error


def span_iterator(request: TraceRequest) -> Iterator[RawSpan]:
    """The spans of a decoded request."""
    for of_resource in request.resource_spans or ():
        for of_scope in of_resource.scope_spans or ():
            source = source_of(of_resource.resource, of_scope.scope)
            for one in of_scope.spans or ():
                status = one.status or Status()
                yield RawSpan(
                    source,
                    hex_id(one.trace_id),
                    hex_id(one.span_id),
                    hex_id(one.parent_span_id),
                    one.name or "",
                    enum_of(one.kind, MAX_KIND),
                    int64(one.start_time_unix_nano),
                    int64(one.end_time_unix_nano),
                    enum_of(status.code, MAX_STATUS),
                    status.message or "",
                    attributes_of(one.attributes),
                    [event_of(event) for event in (one.events or ())[:MAX_EVENTS]],
                    [link_of(link) for link in (one.links or ())[:MAX_EVENTS]],
                )


def event_of(event: SpanEvent) -> Event:
    """An event of a span."""
    return Event(event.name or "", int64(event.time_unix_nano), attributes_of(event.attributes))


def link_of(link: SpanLink) -> Link:
    """A link of a span."""
    return Link(hex_id(link.trace_id), hex_id(link.span_id), attributes_of(link.attributes))


def log_iterator(request: LogsRequest) -> Iterator[RawLog]:
    """The log records of a decoded request."""
    for of_resource in request.resource_logs or ():
        for of_scope in of_resource.scope_logs or ():
            source = source_of(of_resource.resource, of_scope.scope)
            for one in of_scope.log_records or ():
                yield RawLog(
                    source,
                    int64(one.time_unix_nano),
                    int64(one.observed_time_unix_nano),
                    enum_of(one.severity_number, MAX_SEVERITY),
                    one.severity_text or "",
                    one.event_name or "",
                    value_of(one.body),
                    attributes_of(one.attributes),
                    hex_id(one.trace_id),
                    hex_id(one.span_id),
                )


def metric_iterator(request: MetricsRequest) -> Iterator[RawMetric]:
    """The sums and histograms of a decoded request."""
    for of_resource in request.resource_metrics or ():
        for of_scope in of_resource.scope_metrics or ():
            source = source_of(of_resource.resource, of_scope.scope)
            for one in of_scope.metrics or ():
                data = one.sum or one.histogram or one.exponential_histogram
                if data is not None:
                    histogram = one.sum is None
                    points = [point_of(point, histogram) for point in data.data_points or ()]
                    cumulative = data.aggregation_temporality == CUMULATIVE
                    yield RawMetric(source, one.name or "", one.unit or "", cumulative, points)


def point_of(point: DataPoint, histogram: bool) -> Point:
    """A data point."""
    total: Any = point.sum if histogram else point.as_int if point.as_int is not None else point.as_double
    return Point(
        attributes_of(point.attributes),
        int64(point.start_time_unix_nano),
        int64(point.time_unix_nano),
        int64(point.count) if histogram else None,
        real(total),
    )
