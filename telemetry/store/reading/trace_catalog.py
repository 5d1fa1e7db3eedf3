"""Reads of what there is over all traces: services, the names of their spans, who calls whom; and many traces at
once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from telemetry.store.ids import is_trace_id, trace_uuid
from telemetry.store.reading.traces import (
    MAX_SPANS,
    SPAN_COLUMNS,
    TRACE_COLUMNS,
    Span,
    Trace,
    TraceRow,
    span_of,
    trace_row,
    visible,
)

MAX_SERVICES, MAX_OPERATIONS, MAX_LINKS, MAX_TRACES = 1_000, 500, 1_000, 1_000
# The newest spans that are looked at for names and links, so that they take the same time however many there are.
MAX_READ = 100_000


class Operation(NamedTuple):
    """A name of spans, and their kind as OpenTelemetry numbers it."""

    name: str
    span_kind: int


class Dependency(NamedTuple):
    """A service that calls another, and how often."""

    parent: str
    child: str
    calls: int


class Share(NamedTuple):
    """What a service has in a trace: spans, those with an error, and those whose parent is not there."""

    service: str
    spans: int
    errors: int
    orphans: int


def services(slugs: frozenset[str] | None) -> list[str]:
    """The services that have sent spans."""
    values: list[Any] = []
    where = visible("s", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT s.service FROM telemetry_service s WHERE {where} AND s.spans_at IS NOT NULL AND s.service"  # noqa: S608 - only names of our own; values are parameters
            " <> ''"
            f" ORDER BY 1 LIMIT {MAX_SERVICES}",
            values,
        )
        return [name for (name,) in cursor.fetchall()]


def operations(slugs: frozenset[str] | None, service: str, since: datetime) -> list[Operation]:
    """The names of a service's spans since a time, each with its kinds."""
    values: list[Any] = []
    where = visible("s", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT name, span_kind FROM (SELECT s.name, s.span_kind FROM telemetry_span s WHERE {where} AND"  # noqa: S608 - only names of our own; values are parameters
            " s.start >= %s"
            f" AND s.service = %s LIMIT {MAX_READ}) n ORDER BY 1, 2 LIMIT {MAX_OPERATIONS}",
            [*values, since, service],
        )
        return [Operation(*row) for row in cursor.fetchall()]


def dependencies(slugs: frozenset[str] | None, start: datetime, end: datetime) -> list[Dependency]:
    """Which services call which: spans whose parent is another service's."""
    values: list[Any] = []
    where = visible("c", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.service, c.service, count(*) FROM (SELECT c.workspace_id, c.trace_id, c.parent_span_id, c.service"  # noqa: S608 - only names of our own; values are parameters
            " FROM telemetry_span c"
            f" WHERE {where} AND c.start >= %s AND c.start < %s AND c.parent_span_id IS NOT NULL LIMIT {MAX_READ}) c"
            " JOIN telemetry_span p ON p.workspace_id = c.workspace_id AND p.trace_id = c.trace_id AND p.span_id ="
            " c.parent_span_id"
            " AND p.start >= %s - interval '1 day' AND p.start < %s WHERE p.service <> c.service"
            f" GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {MAX_LINKS}",
            [*values, start, end, start, end],
        )
        return [Dependency(*row) for row in cursor.fetchall()]


def by_ids(trace_ids: Iterable[str], slugs: frozenset[str] | None) -> list[TraceRow]:
    """The traces of ids in hex, in their order, in one query; each workspace that has an id has a trace of its own.
    What is no id is left out."""
    ids = [*dict.fromkeys(trace_uuid(one) for one in trace_ids if is_trace_id(one))]
    values: list[Any] = [ids]
    where = visible("t", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {TRACE_COLUMNS} FROM telemetry_trace t WHERE t.trace_id = ANY (%s) AND {where}"  # noqa: S608 - only names of our own; values are parameters
            f" ORDER BY array_position(%s, t.trace_id), t.workspace_id LIMIT {MAX_TRACES}",
            [*values, ids],
        )
        return [trace_row(row) for row in cursor.fetchall()]


def with_spans(found: Sequence[TraceRow], slugs: frozenset[str] | None) -> list[Trace]:
    """Traces with their spans, in the same order; one query for all, `MAX_SPANS` in all. Those whose spans are gone are
    left out: clients take the first span of each."""
    if not found:
        return []
    where, values = spans_of(found, slugs)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT w.slug, s.trace_id, {SPAN_COLUMNS} FROM telemetry_span s"  # noqa: S608 - only names of our own; values are parameters
            f" JOIN accounts_workspace w ON w.id = s.workspace_id WHERE {where} ORDER BY s.start, s.span_id LIMIT %s",
            [*values, MAX_SPANS],
        )
        rows = cursor.fetchall()
    spans: dict[tuple[str, str], list[Span]] = {}
    for workspace, trace_id, *row in rows:
        spans.setdefault((workspace, trace_id.hex), []).append(span_of(tuple(row)))
    cut = len(rows) == MAX_SPANS
    return [Trace(trace, own, cut) for trace in found if (own := spans.get((trace.workspace, trace.trace_id)))]


def shares(found: Sequence[TraceRow], slugs: frozenset[str] | None) -> list[tuple[TraceRow, list[Share]]]:
    """Traces with the share that each of their services has in them, in the same order; one query for all. Those whose
    spans are gone are left out."""
    if not found:
        return []
    where, values = spans_of(found, slugs)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH s AS (SELECT s.workspace_id, s.trace_id, s.span_id, s.parent_span_id, s.service, s.status"  # noqa: S608 - only names of our own; values are parameters
            f" FROM telemetry_span s WHERE {where} LIMIT {MAX_READ})"
            " SELECT w.slug, s.trace_id, s.service, count(*), count(*) FILTER (WHERE s.status = 2),"
            " count(*) FILTER (WHERE s.parent_span_id IS NOT NULL AND p.span_id IS NULL)"
            " FROM s JOIN accounts_workspace w ON w.id = s.workspace_id"
            " LEFT JOIN s p ON p.workspace_id = s.workspace_id AND p.trace_id = s.trace_id AND p.span_id ="
            " s.parent_span_id"
            " GROUP BY 1, 2, 3 ORDER BY 3",
            values,
        )
        rows = cursor.fetchall()
    of: dict[tuple[str, str], list[Share]] = {}
    for workspace, trace_id, *row in rows:
        of.setdefault((workspace, trace_id.hex), []).append(Share(*row))
    return [(trace, own) for trace in found if (own := of.get((trace.workspace, trace.trace_id)))]


def spans_of(found: Sequence[TraceRow], slugs: frozenset[str] | None) -> tuple[str, list[Any]]:
    """The WHERE of the spans `s` of traces, at least one, and its values. Other days' partitions are not looked at."""
    values: list[Any] = []
    where = visible("s", slugs, values)
    first = min(trace.start for trace in found)
    last = max(trace.start + timedelta(seconds=trace.duration + 1) for trace in found)
    ids = [trace_uuid(trace.trace_id) for trace in found]
    return f"{where} AND s.trace_id = ANY (%s) AND s.start BETWEEN %s AND %s", [*values, ids, first, last]
