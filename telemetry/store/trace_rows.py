"""Traces in short: what the spans of a batch add to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.types.numeric import Int8

from core.pg.arrays import float8, int8, texts, uuids
from core.pg.statements import prepared
from telemetry.conventions.errors import ERROR
from telemetry.store.span_rows import SpanRow, storable

MAX_FACETS = 500  # of one trace
SEPARATOR = "\x1f"
COUNTS = (
    "spans",
    "errors",
    "llm_calls",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
)


class Addition(msgspec.Struct, gc=False):
    """What a batch adds to a trace. The root is empty where it is not among the spans."""

    start: float
    finish: float
    root_name: str = ""
    root_service: str = ""
    has_root: bool = False
    spans: int = 0
    errors: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    facets: set[str] = msgspec.field(default_factory=set)


def addition_of(rows: Sequence[SpanRow]) -> Addition:
    """What some spans of one trace add to it: tokens and cost of those that count."""
    found = Addition(min(row.start for row in rows), max(row.start + row.duration for row in rows), spans=len(rows))
    for row in rows:
        meaning = row.meaning
        if row.parent_id is None:
            found.root_name, found.root_service, found.has_root = row.raw.name, meaning.service, True
        if row.raw.status == ERROR or meaning.error:
            found.errors += 1
        if row.counted_kind == "llm_call":
            found.llm_calls += 1
            found.input_tokens += meaning.input_tokens or 0
            found.output_tokens += meaning.output_tokens or 0
            found.cached_tokens += meaning.cached_tokens or 0
            found.reasoning_tokens += meaning.reasoning_tokens or 0
            found.cost_usd += meaning.cost_usd or 0.0
        elif row.counted_kind == "tool_call":
            found.tool_calls += 1
        found.facets.update(facets_of(row))
    return found


def facets_of(row: SpanRow) -> set[str]:
    """The facets of a span."""
    meaning = row.meaning
    pairs = (
        ("service", meaning.service),
        ("provider", meaning.provider),
        ("model", meaning.model),
        ("operation", meaning.operation),
        ("agent", meaning.agent),
        ("tool", meaning.tool),
        ("team", meaning.team),
        ("component", meaning.component),
        ("session", meaning.session),
        ("user", meaning.user),
        ("error", meaning.error),
        ("usage", "missing" if is_usage_missing(row) else ""),
    )
    return {f"{name}:{value[:200]}" for name, value in pairs if value}


def is_usage_missing(row: SpanRow) -> bool:
    """Whether it counts against coverage: a call of a model that succeeded and says nothing of its tokens."""
    meaning = row.meaning
    is_call = row.counted_kind == "llm_call" and row.raw.status != ERROR and not meaning.error
    return is_call and meaning.input_tokens is None and meaning.output_tokens is None


_LOCK = f"""
WITH put AS (
    INSERT INTO telemetry_trace AS t (
        workspace_id, trace_id, start, finish, duration, root_name, root_service, has_root, {", ".join(COUNTS)},
        cost_usd, facets, first_seen, last_seen
    )
    SELECT %(workspace)s, trace, to_timestamp(start), to_timestamp(finish), finish - start, root_name, root_service,
        has_root = 1, {", ".join(f"(%({name})s)[n]" for name in COUNTS)}, (%(costs)s)[n],
        string_to_array(facets, chr(31)), to_timestamp(%(seen)s), to_timestamp(%(seen)s)
    FROM unnest(%(traces)s, %(starts)s, %(finishes)s, %(root_names)s, %(root_services)s, %(roots)s, %(facets)s)
        WITH ORDINALITY AS r (trace, start, finish, root_name, root_service, has_root, facets, n)
    ORDER BY trace
    ON CONFLICT (trace_id, workspace_id) DO UPDATE SET last_seen = greatest(t.last_seen, excluded.last_seen)
    RETURNING trace_id, xmax <> 0 AS known
)
SELECT array_agg(trace_id) FILTER (WHERE known) FROM put
"""  # noqa: S608 - only names of our own; values are parameters
_ADD = f"""
WITH changed AS (
    UPDATE telemetry_trace t SET
        start = least(t.start, to_timestamp(r.start)),
        finish = greatest(t.finish, to_timestamp(r.finish)),
        duration = extract(epoch FROM greatest(t.finish, to_timestamp(r.finish))
            - least(t.start, to_timestamp(r.start))),
        root_name = CASE WHEN r.has_root = 1 THEN r.root_name ELSE t.root_name END,
        root_service = CASE WHEN r.has_root = 1 THEN r.root_service ELSE t.root_service END,
        has_root = t.has_root OR r.has_root = 1,
        {", ".join(f"{name} = t.{name} + (%({name})s)[n]" for name in COUNTS)},
        cost_usd = t.cost_usd + (%(costs)s)[n],
        facets = CASE WHEN t.facets @> string_to_array(r.facets, chr(31)) OR cardinality(t.facets) >= {MAX_FACETS}
            THEN t.facets
            ELSE ARRAY(SELECT DISTINCT f FROM unnest(t.facets || string_to_array(r.facets, chr(31))) f ORDER BY f) END
    FROM unnest(%(traces)s, %(starts)s, %(finishes)s, %(root_names)s, %(root_services)s, %(roots)s, %(facets)s)
        WITH ORDINALITY AS r (trace, start, finish, root_name, root_service, has_root, facets, n)
    WHERE t.trace_id = r.trace AND t.workspace_id = %(workspace)s
    RETURNING 1
)
SELECT count(*) FROM changed
"""  # noqa: S608 - only names of our own; values are parameters


def lock(additions: dict[bytes, Addition], workspace_id: int, seen: float) -> set[bytes]:
    """Make the rows of the traces that are new, with what a batch adds to them; the traces that were known, whose rows
    are locked until the end of the transaction and not added to yet."""
    [known] = prepared(_LOCK, {**arrays_of(additions, workspace_id), "seen": seen})
    return {one.bytes for one in known or ()}


def add(additions: dict[bytes, Addition], workspace_id: int) -> None:
    """Add to the rows of known traces."""
    prepared(_ADD, arrays_of(additions, workspace_id))


def arrays_of(additions: dict[bytes, Addition], workspace_id: int) -> dict[str, Any]:
    """Additions as array parameters, by ascending trace: batches that share traces wait for each other in one order."""
    keys = sorted(additions)
    chosen = [additions[key] for key in keys]
    return {
        "workspace": Int8(workspace_id),
        "traces": uuids(b"".join(keys)),
        "starts": float8([one.start for one in chosen]),
        "finishes": float8([one.finish for one in chosen]),
        "root_names": texts(storable([one.root_name for one in chosen])),
        "root_services": texts(storable([one.root_service for one in chosen])),
        "roots": int8([int(one.has_root) for one in chosen]),
        **{name: int8([getattr(one, name) for one in chosen]) for name in COUNTS},
        "costs": float8([one.cost_usd for one in chosen]),
        "facets": texts(storable([SEPARATOR.join(sorted(one.facets)) for one in chosen])),
    }
