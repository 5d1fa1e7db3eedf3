"""The trace and the log line around each replayed call, as OTLP's JSON: a run of an
agent, a call of a tool, and the call itself.

A record and the span of its call carry the same ids, so that they count once.
"""

from __future__ import annotations

import uuid
from typing import Any

AGENT, TOOL = "replay", "look_up"
SERVICE = "replay"
INTERNAL, CLIENT = 1, 3
INFO, WARN, ERROR = (9, "INFO"), (13, "WARN"), (17, "ERROR")
LOOKED_UP = 0.2  # seconds of each run before its call
TOKENS = {"prompt_tokens": "gen_ai.usage.input_tokens", "completion_tokens": "gen_ai.usage.output_tokens"}
NAMES = {"provider": "gen_ai.provider.name", "model": "gen_ai.request.model", "team": "team"}


def with_ids(record: dict[str, Any]) -> dict[str, Any]:
    """A record that names the span of its call."""
    trace = uuid.UUID(record["event_id"]).hex
    return {**record, "trace_id": trace, "span_id": f"{trace[:15]}3"}


def traces(batch: list[dict[str, Any]]) -> dict[str, Any]:
    """The spans of records that have ids."""
    return _body("Spans", [span for record in batch for span in _spans(record)])


def logs(batch: list[dict[str, Any]]) -> dict[str, Any]:
    """A line for each record that has ids."""
    return _body("Logs", [_log(record) for record in batch])


def _failed(record: dict[str, Any]) -> bool:
    return str(record.get("outcome", "success")) != "success"


def _spans(record: dict[str, Any]) -> list[dict[str, Any]]:
    trace, end = record["trace_id"], record["at"]
    start = end - record.get("duration_seconds", 0.0)
    begin = start - LOOKED_UP
    component = record.get("component") or AGENT
    root, tool = f"{trace[:15]}1", f"{trace[:15]}2"
    call: dict[str, Any] = {"gen_ai.operation.name": record.get("operation") or "chat", "component": component}
    call |= {name: record[field] for field, name in (NAMES | TOKENS).items() if field in record}
    if _failed(record):
        call["error.type"] = record.get("error_type") or record["outcome"]
    run = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": component}
    looked_up = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": TOOL}
    name = f"{call['gen_ai.operation.name']} {record.get('model', '')}".strip()
    return [
        _span(trace, record["span_id"], root, name, CLIENT, start, end, call, failed=_failed(record)),
        _span(trace, tool, root, f"execute_tool {TOOL}", INTERNAL, begin, start, looked_up),
        _span(trace, root, "", f"invoke_agent {component}", INTERNAL, begin, end, run, failed=_failed(record)),
    ]


def _span(
    trace: str,
    span: str,
    parent: str,
    name: str,
    kind: int,
    start: float,
    end: float,
    given: dict[str, Any],
    *,
    failed: bool = False,
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(round(start * 1e9)),
        "endTimeUnixNano": str(round(end * 1e9)),
        "attributes": [_attribute(key, value) for key, value in given.items()],
        "status": {"code": 2} if failed else {},
    }


def _attribute(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}}


def _log(record: dict[str, Any]) -> dict[str, Any]:
    model = record.get("model", "the model")
    tokens = [record.get(field) for field in TOKENS]
    if _failed(record):
        severity, text = ERROR, f"call of {model} failed: {record['outcome']}"
    elif None in tokens:
        severity, text = WARN, f"call of {model} came without token counts"
    else:
        severity, text = INFO, f"called {model}: {tokens[0]} tokens in, {tokens[1]} out"
    return {
        "timeUnixNano": str(round(record["at"] * 1e9)),
        "severityNumber": severity[0],
        "severityText": severity[1],
        "body": {"stringValue": text},
        "traceId": record["trace_id"],
        "spanId": record["span_id"],
    }


def _body(signal: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A request of one service; `signal` is Spans or Logs."""
    inner = "spans" if signal == "Spans" else "logRecords"
    resource = {"attributes": [_attribute("service.name", SERVICE)]}
    return {f"resource{signal}": [{"resource": resource, f"scope{signal}": [{inner: items}]}]}
