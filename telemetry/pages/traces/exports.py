"""A trace as a file: OTLP JSON, which any collector takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from telemetry.store.ids import is_trace_id
from telemetry.store.reading.traces import Span, Trace


def otlp_json(trace: Trace) -> dict[str, Any]:
    """The trace as the body of an OTLP/HTTP request in JSON: a resource per service, a scope per library."""
    resources: dict[str, dict[str, Any]] = {}
    for span in trace.spans:
        key = span.resource_json or span.service
        found = resources.setdefault(key, {"attributes": resource_of(span), "scopes": {}})
        found["scopes"].setdefault(span.scope, []).append(span_json(trace.summary.trace_id, span))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": one["attributes"]},
                "scopeSpans": [{"scope": {"name": scope}, "spans": spans} for scope, spans in one["scopes"].items()],
            }
            for one in resources.values()
        ]
    }


def resource_of(span: Span) -> list[dict[str, Any]]:
    """The attributes of what sent a span, its service at least."""
    given = span.resource
    return attributes(given if "service.name" in given or not span.service else {"service.name": span.service, **given})


def span_json(trace_id: str, span: Span) -> dict[str, Any]:
    """A span; ids are hex, times are nanoseconds as text, as OTLP's JSON has them."""
    end = span.start + timedelta(seconds=span.duration)
    found: dict[str, Any] = {
        "traceId": trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.span_kind,
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes(span.attributes),
        "status": {"code": span.status, **({"message": span.status_message} if span.status_message else {})},
    }
    if span.parent_span_id:
        found["parentSpanId"] = span.parent_span_id
    if events := span.events:
        found["events"] = [
            {
                "timeUnixNano": str(round(float(one.get("time") or 0) * 1e6) * 1000),
                "name": one.get("name", ""),
                "attributes": attributes(one.get("attributes") or {}),
            }
            for one in events
        ]
    # Clients refuse a whole trace for a link that leads nowhere.
    if links := [one for one in span.links if is_trace_id(one.get("trace_id", "")) and one.get("span_id")]:
        found["links"] = [
            {
                "traceId": one["trace_id"],
                "spanId": one["span_id"],
                "attributes": attributes(one.get("attributes") or {}),
            }
            for one in links
        ]
    return found


def nanoseconds(at: datetime) -> str:
    """Nanoseconds of the Unix epoch, exact to the microsecond that Postgres keeps."""
    return str(round(at.timestamp() * 1e6) * 1000)


def attributes(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP has them."""
    return [{"key": name, "value": any_value(value)} for name, value in given.items()]


def any_value(value: Any) -> dict[str, Any]:
    """A value with its type."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    return {"stringValue": "" if value is None else str(value)}
