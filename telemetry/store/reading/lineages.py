"""The spans of traces as deciding needs them: who is below whom, and what is decided already."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.db import connection

from telemetry.conventions.kinds import Kind

_LOCK = (
    "SELECT FROM telemetry_trace WHERE workspace_id = %s AND trace_id = ANY (%s::uuid[])"
    " ORDER BY trace_id FOR NO KEY UPDATE"
)
_READ = """
SELECT s.trace_id, s.span_id, s.parent_span_id, s.kind,
    CASE s.kind WHEN 'tool' THEN s.tool WHEN 'agent' THEN s.agent WHEN 'llm' THEN '' ELSE s.service END,
    s.receipt IS NOT DISTINCT FROM %s, w.receipt IS NOT NULL, s.counted_kind <> '', s.not_counted
FROM telemetry_span s LEFT JOIN telemetry_waiting w ON w.receipt = s.receipt
WHERE s.trace_id = ANY (ARRAY(
    SELECT o.trace_id FROM telemetry_span o WHERE o.trace_id = ANY (%s::uuid[]) AND o.workspace_id = %s
    AND o.start BETWEEN to_timestamp(%s) AND to_timestamp(%s) AND o.receipt IS DISTINCT FROM %s
)) AND s.workspace_id = %s AND s.start BETWEEN to_timestamp(%s) AND to_timestamp(%s)
ORDER BY 6 DESC, s.start DESC LIMIT %s
"""


class LineageSpan(NamedTuple):
    """A span, by what of it decides: `own` is of the request that is decided, `waits` of another one that is not."""

    trace_id: uuid.UUID
    span_id: int
    parent_id: int
    kind: Kind
    name: str
    own: bool
    waits: bool
    counted: bool
    not_counted: str


def lock(workspace_id: int, traces: list[str]) -> None:
    """Keep others from changing the traces (hex ids) until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [workspace_id, traces])


def spans_of(
    workspace_id: int, traces: list[str], receipt: uuid.UUID, within: tuple[float, float], most: int
) -> list[LineageSpan]:
    """Spans that began within (epoch seconds), of those traces that other requests have brought spans of too; at most
    so many, the request's own first, then the latest."""
    where = (workspace_id, *within)
    with connection.cursor() as cursor:
        cursor.execute(_READ, [receipt, traces, *where, receipt, *where, most])
        return [LineageSpan(*row) for row in cursor.fetchall()]
