"""Traces in the shapes of Jaeger's JSON: times and durations in microseconds, a process per service, typed tags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from telemetry.store.reading.traces import Span, Trace

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
STATUS = {1: "OK", 2: "ERROR"}
ERROR = 2


def envelope(data: Any, total: int | None = None) -> dict[str, Any]:
    """An answer around its data."""
    count = total if total is not None else len(data) if isinstance(data, list) else 0
    return {"data": data, "total": count, "limit": 0, "offset": 0, "errors": None}


def failure(code: int, message: str) -> dict[str, Any]:
    """An answer that says what was wrong."""
    return {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": code, "msg": message}]}


def trace_json(trace: Trace) -> dict[str, Any]:
    """A trace with its spans and the processes that they ran in."""
    processes: dict[str, dict[str, Any]] = {}
    names: dict[tuple[str, str | None], str] = {}
    spans = []
    for span in trace.spans:
        key = (span.service, span.resource_json)
        if key not in names:
            names[key] = f"p{len(names) + 1}"
            rest = {name: value for name, value in span.resource.items() if name != "service.name"}
            processes[names[key]] = {"serviceName": span.service or "unknown", "tags": tags(rest)}
        spans.append(span_json(trace.summary.trace_id, span, names[key]))
    warnings = ["only a part of the spans is shown"] if trace.cut else None
    return {"traceID": trace.summary.trace_id, "spans": spans, "processes": processes, "warnings": warnings}


def span_json(trace_id: str, span: Span, process: str) -> dict[str, Any]:
    """A span."""
    references = [reference("CHILD_OF", trace_id, span.parent_span_id)] if span.parent_span_id else []
    references += [
        reference("FOLLOWS_FROM", str(link.get("trace_id", "")), str(link.get("span_id", ""))) for link in span.links
    ]
    return {
        "traceID": trace_id,
        "spanID": span.span_id,
        "flags": 1,
        "operationName": span.name,
        "references": references,
        "startTime": microseconds(span.start),
        "duration": round(span.duration * 1e6),
        "tags": tags({**span.attributes, **own_tags(span)}),
        "logs": [event_json(one) for one in span.events],
        "processID": process,
        "warnings": None,
    }


def own_tags(span: Span) -> dict[str, Any]:
    """What Jaeger has as tags of what OpenTelemetry has as fields."""
    found: dict[str, Any] = {}
    if span.span_kind in KINDS:
        found["span.kind"] = KINDS[span.span_kind]
    if span.scope:
        found["otel.scope.name"] = span.scope
    if span.status in STATUS:
        found["otel.status_code"] = STATUS[span.status]
    if span.status_message:
        found["otel.status_description"] = span.status_message
    if span.status == ERROR:
        found["error"] = True
    if span.cost_usd is not None:
        found["usage.cost_usd"] = span.cost_usd
    return found


def reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    """A reference to another span."""
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def event_json(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event, as Jaeger's logs."""
    fields = {"event": event.get("name", ""), **(event.get("attributes") or {})}
    return {"timestamp": round(float(event.get("time") or 0) * 1e6), "fields": tags(fields)}


def tags(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes with their types; what is no scalar is JSON in a text."""
    found = []
    for name, value in given.items():
        kind = {bool: "bool", int: "int64", float: "float64", str: "string"}.get(type(value), "")
        found.append(
            {"key": name, "type": kind or "string", "value": value if kind else msgspec.json.encode(value).decode()}
        )
    return found


def microseconds(at: datetime) -> int:
    """A time in microseconds of the Unix epoch."""
    return round(at.timestamp() * 1e6)
