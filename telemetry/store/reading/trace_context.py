"""Reads of what stands around one trace: a single span, the usage that spans became, the traces before and after.

read_span(trace, span_id)            one span of a trace that was read
record_of(event_id, start, end)      the usage record that a span became, or None
counts_of(trace)                     how many lines were logged in it, and how many usage records name it
records_of_trace(trace_id, slugs)    the usage records that name a trace, also where sampling did not keep it
previous(trace, slugs)               the trace of the same root before this one
next_slower(trace, slugs)            the next slower trace of the same root
alike(trace, slugs)                  traces of the same root, to compare it with
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from telemetry.store.ids import span_hex, span_number, trace_uuid
from telemetry.store.reading.traces import SPAN_COLUMNS, TRACE_COLUMNS, Span, TraceRow, load, trace_row, visible

MAX_RECORDS, MAX_ALIKE, MAX_COUNTED = 500, 12, 1_000
_DAY = timedelta(days=1)


class Record(NamedTuple):
    """A usage record: its kind and labels, and what it counts."""

    event_id: uuid.UUID
    kind: str
    labels_json: str
    at: datetime
    received_at: datetime
    receipt: uuid.UUID
    span_id: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    price_source: str
    duration_seconds: float | None

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return load(self.labels_json) or {}


_COLUMNS = {"kind": "d.kind", "labels_json": "d.labels::text"}
_RECORDS = (
    f"SELECT {', '.join(_COLUMNS.get(name, f'r.{name}') for name in Record._fields)}"  # noqa: S608 - only names of our own; values are parameters
    " FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id"
)


def find_trace(trace_id: str, slugs: frozenset[str] | None) -> TraceRow | None:
    """A trace in short by its id in hex, without its spans; None where there is none that the reader may see."""
    try:
        values: list[Any] = [trace_uuid(trace_id)]
    except ValueError:
        return None
    where = visible("t", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {TRACE_COLUMNS} FROM telemetry_trace t WHERE t.trace_id = %s AND {where} ORDER BY t.workspace_id"  # noqa: S608 - only names of our own; values are parameters
            " LIMIT 1",
            values,
        )
        found = cursor.fetchone()
    return None if found is None else trace_row(found)


def read_span(trace: TraceRow, span_id: str) -> Span | None:
    """A span of the trace by its id in hex; None where there is none."""
    try:
        number = span_number(span_id)
    except ValueError:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {SPAN_COLUMNS} FROM telemetry_span s WHERE s.trace_id = %s AND s.span_id = %s"  # noqa: S608 - only names of our own; values are parameters
            " AND s.workspace_id = (SELECT id FROM accounts_workspace WHERE slug = %s) AND s.start BETWEEN %s AND %s"
            " LIMIT 1",
            [
                trace_uuid(trace.trace_id),
                number,
                trace.workspace,
                trace.start,
                trace.start + timedelta(seconds=trace.duration + 1),
            ],
        )
        row = cursor.fetchone()
    return None if row is None else Span(span_hex(row[0]), span_hex(row[1]), *row[2:])


def record_of(event_id: uuid.UUID, start: datetime, end: datetime, slugs: frozenset[str] | None) -> Record | None:
    """The usage record `event_id`, which happened about [start, end]."""
    values: list[Any] = [event_id, start - _DAY, end + _DAY]
    where = visible("r", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(f"{_RECORDS} WHERE r.event_id = %s AND r.at BETWEEN %s AND %s AND {where} LIMIT 1", values)
        row = cursor.fetchone()
    return None if row is None else Record._make(row)


def records_of_trace(trace_id: str, slugs: frozenset[str] | None) -> list[Record]:
    """The usage records that name a trace, by time."""
    values: list[Any] = [trace_id]
    where = visible("r", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(f"{_RECORDS} WHERE r.trace_id = %s AND {where} ORDER BY r.at LIMIT {MAX_RECORDS}", values)
        return [Record._make(row) for row in cursor.fetchall()]


class Counts(NamedTuple):
    """What belongs to a trace, counted up to `most`."""

    logs: int
    records: int
    most: int = MAX_COUNTED


def counts_of(trace: TraceRow) -> Counts:
    """How many lines were logged in the trace, and how many usage records name it."""
    key, minute = trace_uuid(trace.trace_id), timedelta(minutes=1)
    end = trace.start + timedelta(seconds=trace.duration)
    whose = "workspace_id = (SELECT id FROM accounts_workspace WHERE slug = %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT count(*) FROM (SELECT FROM telemetry_log WHERE trace_id = %s AND {whose}"  # noqa: S608 - only names of our own; values are parameters
            f" AND at BETWEEN %s AND %s LIMIT {MAX_COUNTED}) l),"
            f" (SELECT count(*) FROM (SELECT FROM usage_record WHERE trace_id = %s AND {whose} LIMIT {MAX_COUNTED}) r)",
            [key, trace.workspace, trace.start - minute, end + minute, key.hex, trace.workspace],
        )
        return Counts(*cursor.fetchone())


def next_slower(trace: TraceRow, slugs: frozenset[str] | None) -> str:
    """The id of the trace of the same root, within a day, that took a little longer; empty where this one is the
    slowest."""
    values: list[Any] = []
    where = visible("t", slugs, values)
    given = [*values, trace.start - _DAY, trace.start + _DAY, trace.root_name, trace.root_service, trace.duration]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t.trace_id FROM telemetry_trace t WHERE {where} AND t.start BETWEEN %s AND %s AND t.root_name = %s"  # noqa: S608 - only names of our own; values are parameters
            " AND t.root_service = %s AND t.duration > %s ORDER BY t.duration, t.trace_id LIMIT 1",
            given,
        )
        found = cursor.fetchone()
    return "" if found is None else found[0].hex


def previous(trace: TraceRow, slugs: frozenset[str] | None) -> str:
    """The id of the trace of the same root, within a day, that began last before this one; empty where there is
    none."""
    values: list[Any] = []
    where = visible("t", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t.trace_id FROM telemetry_trace t WHERE {where} AND t.start >= %s AND t.start < %s"  # noqa: S608 - only names of our own; values are parameters
            " AND t.root_name = %s AND t.root_service = %s ORDER BY t.start DESC, t.trace_id LIMIT 1",
            [*values, trace.start - _DAY, trace.start, trace.root_name, trace.root_service],
        )
        found = cursor.fetchone()
    return "" if found is None else found[0].hex


def alike(trace: TraceRow, slugs: frozenset[str] | None) -> list[TraceRow]:
    """Other traces with the same root within a day of it, the nearest in time first."""
    values: list[Any] = []
    where = visible("t", slugs, values)
    given = [*values, trace.start - _DAY, trace.start + _DAY, trace.root_name, trace.root_service, trace.trace_id]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {TRACE_COLUMNS} FROM telemetry_trace t WHERE {where} AND t.start BETWEEN %s AND %s"  # noqa: S608 - only names of our own; values are parameters
            " AND t.root_name = %s AND t.root_service = %s AND t.trace_id <> %s::uuid"
            f" ORDER BY abs(extract(epoch FROM t.start - %s)) LIMIT {MAX_ALIKE}",
            [*given, trace.start],
        )
        return [trace_row(row) for row in cursor.fetchall()]
