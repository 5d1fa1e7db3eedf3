"""Reads of traces and spans, for pages and other clients.

    find_traces(filters, sort, page)      a page of traces in short, for a list
    newest_traces(filters, before, size)  the same from a place on, the newest first, for clients that read them all
    histogram(filters, bins)              traces, errors and durations over time, for the chart above the list
    facet_values(slugs, start, end, name) what a filter may be set to
    read_trace(trace_id, slugs)           one trace with all of its spans, or None
    read_content(trace_id, span_id, slugs) what is kept of a span's content; `slugs` are those that the reader operates
    span_of_event(event_id, at, slugs)    trace and span of a usage record, or None

`slugs` are the workspaces that the reader may see, None for all (core.accounts.permissions.Scope). Ids are hex text.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from django.db import connection

from telemetry.store.ids import span_hex, span_number, trace_uuid
from telemetry.store.reading.places import Place

# What a trace may be filtered by with `TraceFilters.facets`: the names of its facets.
FACETS = (
    "service",
    "provider",
    "model",
    "operation",
    "agent",
    "tool",
    "team",
    "component",
    "session",
    "user",
    "error",
    "usage",
)
Sort = Literal["start", "duration", "cost_usd", "tokens", "spans", "errors"]
SORTS: dict[Sort, str] = {
    "start": "t.start",
    "duration": "t.duration",
    "cost_usd": "t.cost_usd",
    "tokens": "t.input_tokens + t.output_tokens",
    "spans": "t.spans",
    "errors": "t.errors",
}
MAX_SPANS = 20_000


@dataclass(frozen=True)
class TraceFilters:
    """Which traces: those of [start, end) that have every one of `facets` (name and
    value) and `attributes` (on any span).

    `text` is looked for in the root's name and service, `span_name` is the name of any span; `failed` asks for traces
    with (or without) errors. Bounds are inclusive: seconds, tokens in and out together, USD.
    """

    slugs: frozenset[str] | None
    start: datetime
    end: datetime
    facets: tuple[tuple[str, str], ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    span_name: str = ""
    failed: bool | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    min_cost: float | None = None
    max_cost: float | None = None


class TraceRow(NamedTuple):
    """A trace in short. `has_root` is false where the root span has not arrived; `kept` gives the
    reason sampling kept it, or is empty."""

    workspace: str
    trace_id: str
    start: datetime
    duration: float
    root_name: str
    root_service: str
    has_root: bool
    spans: int
    errors: int
    llm_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_usd: float
    facets: list[str]
    first_seen: datetime
    last_seen: datetime
    kept: str

    def values(self, name: str) -> list[str]:
        """The values of one facet."""
        return [one.partition(":")[2] for one in self.facets if one.startswith(f"{name}:")]


@dataclass(frozen=True)
class TracePage:
    """Some traces, and whether there are more behind them."""

    rows: list[TraceRow]
    more: bool


class Span(NamedTuple):
    """A span with what it means and what it became; while it is `waiting` that is what is expected. `duration` is in
    seconds; the texts of JSON are read by `load`."""

    span_id: str
    parent_span_id: str
    start: datetime
    duration: float
    span_kind: int
    status: int
    name: str
    service: str
    scope: str
    status_message: str
    kind: str
    operation: str
    provider: str
    model: str
    agent: str
    tool: str
    team: str
    component: str
    session: str
    user_id: str
    error_type: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    counted_kind: str
    counted_event: uuid.UUID | None
    not_counted: str
    dropped: int
    attributes_json: str | None
    resource_json: str | None
    events_json: str | None
    links_json: str | None
    waiting: bool

    @property
    def attributes(self) -> dict[str, Any]:
        """The span's attributes."""
        return load(self.attributes_json) or {}

    @property
    def resource(self) -> dict[str, Any]:
        """The attributes of what sent it."""
        return load(self.resource_json) or {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events: `name`, `time` (epoch seconds), `attributes`."""
        return load(self.events_json) or []

    @property
    def links(self) -> list[dict[str, Any]]:
        """Its links: `trace_id`, `span_id`, `attributes`."""
        return load(self.links_json) or []


@dataclass(frozen=True)
class Trace:
    """A trace and its spans by start; `cut` says that there are more spans than are read."""

    summary: TraceRow
    spans: list[Span]
    cut: bool


class Bin(NamedTuple):
    """Traces that began in a bin of time: how many, how many of them with errors, and
    their median and longest duration."""

    start: float
    traces: int
    errors: int
    median: float
    longest: float


TRACE_COLUMNS = ", ".join(
    f"t.{name}" if name != "workspace" else "(SELECT slug FROM accounts_workspace w WHERE w.id = t.workspace_id)"
    for name in TraceRow._fields
)
_WAITING = "s.kind <> '' AND EXISTS (SELECT FROM telemetry_waiting w WHERE w.receipt = s.receipt)"
SPAN_COLUMNS = ", ".join(_WAITING if name == "waiting" else f"s.{name.removesuffix('_json')}" for name in Span._fields)


def load(text: str | None) -> Any:
    """A JSON column's value."""
    return msgspec.json.decode(text) if text else None


def visible(alias: str, slugs: frozenset[str] | None, values: list[Any]) -> str:
    """The condition that a row is of a workspace among `slugs`; adds its values."""
    if slugs is None:
        return "true"
    values.append(sorted(slugs))
    return f"{alias}.workspace_id = ANY (ARRAY(SELECT id FROM accounts_workspace WHERE slug = ANY (%s)))"  # noqa: S608 - only names of our own; values are parameters


def conditions(filters: TraceFilters) -> tuple[str, list[Any]]:
    """The WHERE of a list of traces `t`, and its values."""
    values: list[Any] = []
    parts = [visible("t", filters.slugs, values), "t.start >= %s", "t.start < %s"]
    values += [filters.start, filters.end]
    if filters.facets:
        parts.append("t.facets @> %s")
        values.append([f"{name}:{value}" for name, value in filters.facets])
    if filters.failed is not None:
        parts.append("t.errors > 0" if filters.failed else "t.errors = 0")
    for condition, value in (
        ("t.duration >= %s", filters.min_duration),
        ("t.duration <= %s", filters.max_duration),
        ("t.input_tokens + t.output_tokens >= %s", filters.min_tokens),
        ("t.input_tokens + t.output_tokens <= %s", filters.max_tokens),
        ("t.cost_usd >= %s", filters.min_cost),
        ("t.cost_usd <= %s", filters.max_cost),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    if filters.text:
        parts.append("strpos(lower(t.root_name || ' ' || t.root_service), lower(%s)) > 0")
        values.append(filters.text)
    if filters.span_name:
        parts.append(
            "EXISTS (SELECT FROM telemetry_span s"
            " WHERE s.trace_id = t.trace_id AND s.workspace_id = t.workspace_id AND s.name = %s)"
        )
        values.append(filters.span_name)
    for attribute, wanted in filters.attributes:
        parts.append(
            "EXISTS (SELECT FROM telemetry_span s"
            " WHERE s.trace_id = t.trace_id AND s.workspace_id = t.workspace_id AND s.attributes ->> %s = %s)"
        )
        values += [attribute, wanted]
    return " AND ".join(parts), values


def find_traces(
    filters: TraceFilters, sort: Sort = "start", descending: bool = True, page: int = 1, size: int = 50
) -> TracePage:
    """A page (from 1) of the traces that match, `size` at a time."""
    where, values = conditions(filters)
    order = "DESC" if descending else "ASC"
    query = (
        f"SELECT {TRACE_COLUMNS} FROM telemetry_trace t WHERE {where}"  # noqa: S608 - only names of our own; values are parameters
        f" ORDER BY {SORTS[sort]} {order}, t.trace_id LIMIT %s OFFSET %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [*values, size + 1, (page - 1) * size])
        rows = [trace_row(row) for row in cursor.fetchall()]
    return TracePage(rows[:size], len(rows) > size)


def newest_traces(
    filters: TraceFilters, before: Place | None = None, size: int = 50
) -> tuple[list[TraceRow], Place | None]:
    """The newest traces that match, those before a place; and where to go on, None at the end."""
    where, values = conditions(filters)
    if before is not None:
        where += " AND t.start <= %s AND (t.start, t.trace_id) < (%s, %s)"
        values += [before.at, *before]
    query = (
        f"SELECT {TRACE_COLUMNS} FROM telemetry_trace t WHERE {where}"  # noqa: S608 - only names of our own; values are parameters
        " ORDER BY t.start DESC, t.trace_id DESC LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [*values, size + 1])
        rows = [trace_row(row) for row in cursor.fetchall()]
    page = rows[:size]
    return page, Place(page[-1].start, trace_uuid(page[-1].trace_id)) if len(rows) > size else None


def trace_row(row: tuple[Any, ...]) -> TraceRow:
    """A row as Postgres gives it, with the id in hex."""
    return TraceRow(row[0], row[1].hex, *row[2:])


def histogram(filters: TraceFilters, bins: int = 60) -> list[Bin]:
    """The matching traces over time, in `bins` equal parts of the range; bins without traces are left out."""
    where, values = conditions(filters)
    width = max(1.0, (filters.end - filters.start).total_seconds() / bins)
    query = (
        f"SELECT floor(extract(epoch FROM t.start)::float8 / %s) * %s, count(*), count(*) FILTER (WHERE t.errors > 0),"  # noqa: S608 - only names of our own; values are parameters
        f" percentile_cont(0.5) WITHIN GROUP (ORDER BY t.duration), max(t.duration)"
        f" FROM telemetry_trace t WHERE {where} GROUP BY 1 ORDER BY 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [width, width, *values])
        return [Bin(*row) for row in cursor.fetchall()]


def facet_values(
    slugs: frozenset[str] | None, start: datetime, end: datetime, name: str, most: int = 200
) -> list[tuple[str, int]]:
    """The values of a facet among the traces of a time, with how many traces have each; the most frequent first."""
    values: list[Any] = []
    where = visible("t", slugs, values)
    query = (
        f"SELECT substr(f, %s), count(*) FROM telemetry_trace t, unnest(t.facets) f WHERE {where}"  # noqa: S608 - only names of our own; values are parameters
        " AND t.start >= %s AND t.start < %s"
        " AND starts_with(f, %s) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [len(name) + 2, *values, start, end, f"{name}:", most])
        return list(cursor.fetchall())


def read_trace(trace_id: str, slugs: frozenset[str] | None) -> Trace | None:
    """A trace by its id in hex, with its spans by start; None where there is none that the reader may see."""
    try:
        key = trace_uuid(trace_id)
    except ValueError:
        return None
    values: list[Any] = [key]
    where = visible("t", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t.workspace_id, t.finish, {TRACE_COLUMNS} FROM telemetry_trace t"  # noqa: S608 - only names of our own; values are parameters
            f" WHERE t.trace_id = %s AND {where} ORDER BY 1 LIMIT 1",
            values,
        )
        found = cursor.fetchone()
        if found is None:
            return None
        summary = trace_row(found[2:])
        # Spans lie within the trace's own time: other days' partitions are not looked at.
        cursor.execute(
            f"SELECT {SPAN_COLUMNS} FROM telemetry_span s WHERE s.trace_id = %s AND s.workspace_id = %s"  # noqa: S608 - only names of our own; values are parameters
            " AND s.start BETWEEN %s AND %s ORDER BY s.start, s.span_id LIMIT %s",
            [key, found[0], summary.start, found[1], MAX_SPANS + 1],
        )
        spans = [span_of(row) for row in cursor.fetchall()]
    return Trace(summary, spans[:MAX_SPANS], len(spans) > MAX_SPANS)


def span_of(row: tuple[Any, ...]) -> Span:
    """A row as Postgres gives it, with the ids in hex."""
    return Span(span_hex(row[0]), span_hex(row[1]), *row[2:])


def span_of_event(event_id: uuid.UUID, at: datetime, slugs: frozenset[str] | None) -> tuple[str, str] | None:
    """The trace and span (hex) of the usage record `event_id`, which happened at `at`; None where no span became it."""
    values: list[Any] = [event_id, at]
    where = visible("r", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.trace_id, r.span_id FROM usage_record r WHERE r.event_id = %s AND r.at = %s AND {where}"  # noqa: S608 - only names of our own; values are parameters
            " AND r.trace_id <> ''",
            values,
        )
        found = cursor.fetchone()
    return None if found is None else (found[0], found[1])


def read_content(trace_id: str, span_id: str, slugs: frozenset[str] | None) -> dict[str, Any]:
    """What is kept of a span's content, masked; empty where none is. `slugs` are the workspaces
    that the reader operates, None for all."""
    values: list[Any] = [trace_uuid(trace_id), span_number(span_id)]
    where = visible("s", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.content FROM telemetry_span s WHERE s.trace_id = %s AND s.span_id = %s AND {where}",  # noqa: S608 - only names of our own; values are parameters
            values,
        )
        found = cursor.fetchone()
    return load(found[0]) or {} if found else {}
