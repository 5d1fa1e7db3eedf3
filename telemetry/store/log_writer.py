"""Writes of log records: each once, known by its digest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection
from psycopg.types.numeric import Int8

from core.pg.arrays import float8, int8, texts, uuids
from core.pg.partitions import ensure
from core.pg.statements import prepared
from telemetry.otlp.signals import Attributes, RawLog
from telemetry.store import partitions
from telemetry.store.span_rows import json_text, resources_of, storable

DAY = 86_400


class LogRow(msgspec.Struct, gc=False):
    """A log record to be stored; `at` in epoch seconds, `trace_id` and `span_id` empty and 0 where it has none."""

    raw: RawLog
    at: float
    digest: bytes
    body: str
    event_name: str
    exception_type: str
    trace_id: bytes
    span_id: int
    attributes: Attributes
    content: Attributes
    dropped: int


_INSERT = """
WITH stored AS (
    INSERT INTO telemetry_log (
        workspace_id, digest, at, severity, severity_text, service, scope, event_name, body, exception_type, trace_id,
        span_id, attributes, resource, dropped, content
    )
    SELECT %(workspace)s, (%(digests)s)[n], to_timestamp((%(times)s)[n]), (%(severities)s)[n], r.severity_text,
        r.service, r.scope, r.event_name, r.body, r.exception_type,
        nullif((%(traces)s)[n], '00000000-0000-0000-0000-000000000000'), nullif((%(spans)s)[n], 0),
        nullif(r.attributes, '')::jsonb, e.resource, (%(dropped)s)[n],
        nullif(r.content, '')::jsonb
    FROM unnest(
        %(severity_texts)s, %(services)s, %(scopes)s, %(event_names)s, %(bodies)s, %(exception_types)s, %(attributes)s,
        %(contents)s, %(resource_places)s
    ) WITH ORDINALITY AS r (
        severity_text, service, scope, event_name, body, exception_type, attributes, content, resource_place, n
    )
    JOIN (
        SELECT nullif(given, '')::jsonb AS resource, place
        FROM unnest(%(resources)s) WITH ORDINALITY AS g (given, place) OFFSET 0
    ) AS e ON e.place = r.resource_place
    -- Two batches that bring the same records wait for each other in one order.
    ORDER BY (%(digests)s)[n]
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM stored
"""


def store(rows: Sequence[LogRow], workspace_id: int) -> int:
    """Store log records; how many are new. Raises django.db.DatabaseError."""
    ensure(partitions.LOGS, [datetime.fromtimestamp(day * DAY, UTC) for day in {row.at // DAY for row in rows}])
    connection.ensure_connection()
    return int(prepared(_INSERT, arrays_of(rows, workspace_id))[0])


def arrays_of(rows: Sequence[LogRow], workspace_id: int) -> dict[str, Any]:
    """The rows as parameters of INSERT."""
    places, resources = resources_of([row.raw.source for row in rows])
    return {
        "workspace": Int8(workspace_id),
        "digests": uuids(b"".join([row.digest for row in rows])),
        "times": float8([row.at for row in rows]),
        "severities": int8([row.raw.severity for row in rows]),
        "severity_texts": texts(storable([row.raw.severity_text for row in rows])),
        "services": texts(storable([row.raw.source.service for row in rows])),
        "scopes": texts(storable([row.raw.source.scope for row in rows])),
        "event_names": texts(storable([row.event_name for row in rows])),
        "bodies": texts(storable([row.body for row in rows])),
        "exception_types": texts(storable([row.exception_type for row in rows])),
        "traces": uuids(b"".join([row.trace_id or bytes(16) for row in rows])),
        "spans": int8([row.span_id for row in rows]),
        "attributes": texts([json_text(row.attributes) for row in rows]),
        "contents": texts([json_text(row.content) for row in rows]),
        "resource_places": int8(places),
        "resources": texts(resources),
        "dropped": int8([row.dropped for row in rows]),
    }
