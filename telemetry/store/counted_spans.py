"""Spans that became something else than was expected when they were stored: their rows,
and the sums of their traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.types.numeric import Float8, Int8

from core.pg.arrays import int8, texts, uuids
from core.pg.statements import prepared
from telemetry.store.span_rows import NO_EVENT, storable


class Change(NamedTuple):
    """What a span became: the kind of usage and its event, or why none."""

    trace_id: bytes
    span_id: int
    event_id: bytes
    counted_kind: str
    not_counted: str


# Values of the row before the change: a WITH sees the table as it was.
_CHANGE = f"""
WITH given AS (
    SELECT * FROM unnest(%(traces)s, %(spans)s, %(kinds)s, %(events)s, %(reasons)s)
        AS g (trace, span, kind, event, reason)
), was AS (
    SELECT s.trace_id, s.counted_kind AS before, g.kind AS after, coalesce(s.input_tokens, 0) AS input,
        coalesce(s.output_tokens, 0) AS output, coalesce(s.cached_tokens, 0) AS cached,
        coalesce(s.reasoning_tokens, 0) AS reasoning, coalesce(s.cost_usd, 0) AS cost
    FROM given g JOIN telemetry_span s ON s.trace_id = g.trace AND s.span_id = g.span AND s.workspace_id = %(workspace)s
        AND s.start BETWEEN to_timestamp(%(first)s) AND to_timestamp(%(last)s)
), sums AS (
    SELECT trace_id, sum(tool) AS tool, sum(llm) AS llm, sum(llm * input) AS input, sum(llm * output) AS output,
        sum(llm * cached) AS cached, sum(llm * reasoning) AS reasoning, sum(llm * cost) AS cost
    FROM was, LATERAL (
        SELECT (after = 'llm_call')::int - (before = 'llm_call')::int,
            (after = 'tool_call')::int - (before = 'tool_call')::int
    ) AS d (llm, tool)
    GROUP BY trace_id
), summed AS (
    UPDATE telemetry_trace t SET llm_calls = t.llm_calls + d.llm, tool_calls = t.tool_calls + d.tool,
        input_tokens = t.input_tokens + d.input, output_tokens = t.output_tokens + d.output,
        cached_tokens = t.cached_tokens + d.cached,
        reasoning_tokens = t.reasoning_tokens + d.reasoning, cost_usd = greatest(0, t.cost_usd + d.cost)
    FROM sums d WHERE %(with_sums)s = 1 AND t.trace_id = d.trace_id AND t.workspace_id = %(workspace)s
), changed AS (
    UPDATE telemetry_span s SET counted_kind = g.kind, counted_event = nullif(g.event, '{"0" * 32}'),
        not_counted = g.reason
    FROM given g WHERE s.trace_id = g.trace AND s.span_id = g.span AND s.workspace_id = %(workspace)s
        AND s.start BETWEEN to_timestamp(%(first)s) AND to_timestamp(%(last)s)
    RETURNING 1
)
SELECT count(*) FROM changed
"""  # noqa: S608 - only names of our own; values are parameters


def write(changes: Sequence[Change], workspace_id: int, first: float, last: float, *, sums: bool) -> None:
    """Write what spans that began within [first, last] (epoch seconds) became; with
    `sums` also into the sums of their traces."""
    if not changes:
        return
    second = 1.0  # Postgres rounds times to microseconds, and a double cannot tell all of these
    values = {
        "traces": uuids(b"".join(one.trace_id for one in changes)),
        "spans": int8([one.span_id for one in changes]),
        "kinds": texts([one.counted_kind for one in changes]),
        "events": uuids(b"".join(one.event_id if one.counted_kind else NO_EVENT for one in changes)),
        "reasons": texts(storable([one.not_counted for one in changes])),
        "workspace": Int8(workspace_id),
        "first": Float8(first - second),
        "last": Float8(last + second),
        "with_sums": Int8(sums),
    }
    prepared(_CHANGE, values)
