"""What the schema says of the addresses that stand beside the framework: records in, and the Prometheus API.

They keep their own exact answers. A request costs the framework 0.08 ms more than a plain view (docs/performance.md),
which clients that send one record at a time would pay for each; and Prometheus's clients expect Prometheus's errors.
"""

from __future__ import annotations

from typing import Any

import msgspec

from usage.records.records import AnyRecord

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


_REASON = _object(["index", "field", "error"], index=COUNT, field={"type": ["string", "null"]}, error=TEXT)
COMPONENTS = {
    "IngestAnswer": _object(
        ["receipt", "accepted", "duplicates", "rejected"],
        receipt={"type": "string", "format": "uuid"},
        accepted=COUNT,
        duplicates=COUNT,
        rejected={"type": "array", "items": _REASON},
        spooled={"type": "boolean", "description": "Durable on disk; stored once Postgres is back."},
        notes={"type": "array", "items": TEXT, "description": "As of records that are late."},
    ),
    "IngestError": _object(["error"], error=TEXT),
    "ReceiptAnswer": _object(
        ["receipt", "state", "accepted", "duplicates", "rejected", "reasons", "notes", "received_at", "stored_at"],
        receipt={"type": "string", "format": "uuid"},
        state={"type": "string", "enum": ["stored", "spooled", "dead"]},
        accepted=COUNT,
        duplicates=COUNT,
        rejected=COUNT,
        reasons={"type": "array", "items": {"type": "object"}},
        notes={"type": "array", "items": TEXT},
        received_at={"type": "string", "format": "date-time"},
        stored_at={"type": ["string", "null"], "format": "date-time"},
    ),
    "PrometheusAnswer": _object(
        ["status", "data"],
        status={"type": "string", "enum": ["success"]},
        data={"description": "As Prometheus answers it."},
        warnings={"type": "array", "items": TEXT},
        infos={"type": "array", "items": TEXT},
    ),
    "PrometheusError": _object(
        ["status", "errorType", "error"], status={"type": "string", "enum": ["error"]}, errorType=TEXT, error=TEXT
    ),
}
# Path: what it does, and its parameters (a * marks a required one).
PROMETHEUS = {
    "query": ("Evaluate a query at one time.", ("query*", "time", "timeout", "limit")),
    "query_range": ("Evaluate a query over a range.", ("query*", "start*", "end*", "step*", "timeout", "limit")),
    "query_exemplars": (
        "Exemplars of the query's histograms of durations: calls that lead to their traces.",
        ("query*", "start", "end"),
    ),
    "format_query": ("A query, laid out.", ("query*",)),
    "parse_query": ("A query's syntax tree.", ("query*",)),
    "series": ("Label sets of series.", ("match[]*", "start", "end", "limit")),
    "labels": ("Names of labels.", ("match[]", "start", "end", "limit")),
    "label/{name}/values": ("Values of a label.", ("match[]", "start", "end", "limit")),
    "metadata": ("Metrics with their types and help.", ("metric", "limit", "limit_per_metric")),
    "rules": (
        "Rules with their alerts, as Prometheus lists them; see alerting-rules.",
        ("type", "file[]", "rule_name[]"),
    ),
    "alerts": ("Alerts that are open, as Prometheus lists them; see alert-episodes.", ()),
    "targets": ("Scrape targets: the portal has none.", ("state",)),
    "status/buildinfo": ("Which Prometheus this answers as.", ()),
    "status/runtimeinfo": ("How long it runs.", ()),
}


def _answers(good: str, bad: str, codes: tuple[int, ...]) -> dict[str, Any]:
    def of(name: str, description: str) -> dict[str, Any]:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        return {"description": description, "content": content}

    return {"200": of(good, "Done."), **{str(code): of(bad, "What is wrong.") for code in codes}}


SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}]


# The records' own types; a list is what generated clients send, a single object or NDJSON is taken as well.
(_ANY_RECORD,), _KINDS = msgspec.json.schema_components([AnyRecord], ref_template="#/components/schemas/{name}")
for _kind in _KINDS.values():
    # What is left out stays out: a client that sent the defaults would say more than it knows.
    for _field in _kind["properties"].values():
        _field.pop("default", None)
_KIND_REFS = {"anyOf": _ANY_RECORD["anyOf"]}


def _ingest() -> dict[str, Any]:
    return {
        "operationId": "usage_create",
        "description": "Records in: a list, one object, or NDJSON (docs/api.md); gzip allowed. Needs the scope ingest.",
        "tags": ["records"],
        "security": SECURITY,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "array", "items": _KIND_REFS}}},
        },
        "responses": _answers("IngestAnswer", "IngestError", (400, 401, 403, 413, 429, 503)),
    }


def _receipt() -> dict[str, Any]:
    identifier = {"name": "receipt_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    return {
        "operationId": "receipts_retrieve",
        "description": "What became of a batch, for the key that sent it. Needs the scope ingest.",
        "tags": ["records"],
        "security": SECURITY,
        "parameters": [identifier],
        "responses": _answers("ReceiptAnswer", "IngestError", (401, 403, 404, 429, 503)),
    }


def _parameter(name: str) -> dict[str, Any]:
    plain = name.rstrip("*")
    schema: dict[str, Any] = {"type": "array", "items": TEXT} if plain.endswith("[]") else TEXT
    return {"name": plain, "in": "query", "required": name.endswith("*"), "schema": schema}


def _prometheus(path: str) -> dict[str, Any]:
    description, names = PROMETHEUS[path]
    own = [{"name": "name", "in": "path", "required": True, "schema": TEXT}] if "{name}" in path else []
    clean = path.replace("{", "").replace("}", "").replace("/", "_")
    return {
        "operationId": f"prometheus_{clean}",
        "description": f"{description} Prometheus's HTTP API; needs the scope query, or a session.",
        "tags": ["prometheus"],
        "security": [] if path == "status/buildinfo" else [*SECURITY, {"cookieAuth": []}],
        "parameters": [*own, *(_parameter(name) for name in names)],
        "responses": _answers("PrometheusAnswer", "PrometheusError", (400, 401, 403, 404, 422, 429, 503)),
    }


def add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The schema with these addresses; a postprocessing hook of drf-spectacular."""
    result["components"]["schemas"] |= {**COMPONENTS, **_KINDS}
    paths = result["paths"]
    paths["/api/v1/usage"] = {"post": _ingest()}
    paths["/api/v1/receipts/{receipt_id}"] = {"get": _receipt()}
    paths |= {f"/api/v1/{path}": {"get": _prometheus(path)} for path in PROMETHEUS}
    result["components"]["schemas"] = dict(sorted(result["components"]["schemas"].items()))
    result["paths"] = dict(sorted(paths.items()))
    return result
