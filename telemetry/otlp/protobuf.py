"""OTLP as protobuf, decoded by Google's library and read into the one form."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

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
)

CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
M = TypeVar("M", bound=Message)


def parsed(kind: type[M], body: bytes) -> M:
    """A message. Raises Unreadable."""
    message = kind()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Unreadable(f"not a protobuf {kind.__name__}: {error}") from error
    return message


def value_of(value: AnyValue) -> Value:
    """An attribute's value; bytes as base64."""
    which = value.WhichOneof("value")
    if which == "string_value":
        return value.string_value
    if which == "int_value":
        return value.int_value
    if which == "double_value":
        return value.double_value
    if which == "bool_value":
        return value.bool_value
    if which == "array_value":
        return [value_of(one) for one in value.array_value.values]
    if which == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def attributes_of(pairs: Iterable[KeyValue]) -> Attributes:
    """Attributes by name; of two with one name the last one."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def spans(body: bytes) -> list[RawSpan]:
    """The spans of a request. Raises Unreadable."""
    return list(spans_of(parsed(ExportTraceServiceRequest, body)))


def spans_of(request: ExportTraceServiceRequest) -> Iterator[RawSpan]:
    """The spans of a decoded request."""
    for of_resource in request.resource_spans:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            source = Source(resource, of_scope.scope.name)
            for span in of_scope.spans:
                yield RawSpan(
                    source,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    span.name,
                    enum_of(span.kind, MAX_KIND),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    enum_of(span.status.code, MAX_STATUS),
                    span.status.message,
                    attributes_of(span.attributes),
                    events_of(span.events) if span.events else [],
                    links_of(span.links) if span.links else [],
                )


def events_of(events: Sequence[trace_pb2.Span.Event]) -> list[Event]:
    """A span's events, as many as are kept."""
    return [Event(one.name, one.time_unix_nano, attributes_of(one.attributes)) for one in events[:MAX_EVENTS]]


def links_of(links: Sequence[trace_pb2.Span.Link]) -> list[Link]:
    """A span's links, as many as are kept."""
    return [Link(one.trace_id, one.span_id, attributes_of(one.attributes)) for one in links[:MAX_EVENTS]]


def logs(body: bytes) -> list[RawLog]:
    """The log records of a request. Raises Unreadable."""
    return list(logs_of(parsed(ExportLogsServiceRequest, body)))


def logs_of(request: ExportLogsServiceRequest) -> Iterator[RawLog]:
    """The log records of a decoded request."""
    for of_resource in request.resource_logs:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            source = Source(resource, of_scope.scope.name)
            for one in of_scope.log_records:
                yield RawLog(
                    source,
                    one.time_unix_nano,
                    one.observed_time_unix_nano,
                    enum_of(one.severity_number, MAX_SEVERITY),
                    one.severity_text,
                    one.event_name,
                    value_of(one.body),
                    attributes_of(one.attributes),
                    one.trace_id,
                    one.span_id,
                )


def metrics(body: bytes) -> list[RawMetric]:
    """The sums and histograms of a request. Raises Unreadable."""
    return list(metrics_of(parsed(ExportMetricsServiceRequest, body)))


def metrics_of(request: ExportMetricsServiceRequest) -> Iterator[RawMetric]:
    """The sums and histograms of a decoded request."""
    for of_resource in request.resource_metrics:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            source = Source(resource, of_scope.scope.name)
            for one in of_scope.metrics:
                which = one.WhichOneof("data")
                if which == "sum":
                    points = [sum_point(point) for point in one.sum.data_points]
                    cumulative = one.sum.aggregation_temporality == CUMULATIVE
                elif which == "histogram":
                    points = [histogram_point(point) for point in one.histogram.data_points]
                    cumulative = one.histogram.aggregation_temporality == CUMULATIVE
                elif which == "exponential_histogram":
                    points = [histogram_point(point) for point in one.exponential_histogram.data_points]
                    cumulative = one.exponential_histogram.aggregation_temporality == CUMULATIVE
                else:
                    continue
                yield RawMetric(source, one.name, one.unit, cumulative, points)


def sum_point(point: metrics_pb2.NumberDataPoint) -> Point:
    """A point of a sum."""
    total = float(point.as_int) if point.WhichOneof("value") == "as_int" else point.as_double
    return Point(attributes_of(point.attributes), point.start_time_unix_nano, point.time_unix_nano, None, total)


def histogram_point(point: metrics_pb2.HistogramDataPoint | metrics_pb2.ExponentialHistogramDataPoint) -> Point:
    """A point of a histogram; its buckets are not read."""
    return Point(
        attributes_of(point.attributes), point.start_time_unix_nano, point.time_unix_nano, point.count, point.sum
    )
