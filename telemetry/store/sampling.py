"""Which traces are kept, decided per trace once nothing more of it comes. Usage was
counted before, so no number depends on it.

Kept are traces with an error, the slowest and the costliest of each service (of the root) and hour, and a
share of the rest, chosen by the trace's id: whoever decides, and however often, decides the same. The
others go, with their spans; their logs stay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from telemetry.deciding import waiting

AT_ONCE = 1_000
MAX_ROUNDS = 50
# How many of the slowest, and of the costliest, are kept of each service and hour.
MAX_OUTSTANDING = 10
DROPPED = "dropped"
# Longer than spans take to be stored: their traces were seen at the beginning of it, and
# their usage waits since its end.
STORING = timedelta(minutes=5)


class Decided(NamedTuple):
    """How many traces, and spans in them, were kept for a reason, or dropped."""

    reason: str
    traces: int
    spans: int


_DUE = """
SELECT workspace_id, trace_id FROM telemetry_trace WHERE kept = '' AND last_seen < %s ORDER BY last_seen LIMIT %s
    FOR UPDATE SKIP LOCKED
"""
# The hours of the due traces, with all traces of them that are kept or due, ranked.
_DECIDE = """
WITH due AS (
    SELECT t.workspace_id, t.trace_id, t.root_service, date_trunc('hour', t.start) AS hour
    FROM telemetry_trace t JOIN unnest(%(workspaces)s::bigint[], %(traces)s::uuid[]) AS g (workspace_id, trace_id)
        USING (workspace_id, trace_id)
), hours AS (
    SELECT DISTINCT workspace_id, root_service, hour FROM due
), ranked AS (
    SELECT t.workspace_id, t.trace_id, t.errors, t.spans, t.kept, t.cost_usd,
        rank() OVER (PARTITION BY h.workspace_id, h.root_service, h.hour ORDER BY t.duration DESC) AS by_duration,
        rank() OVER (PARTITION BY h.workspace_id, h.root_service, h.hour ORDER BY t.cost_usd DESC) AS by_cost
    FROM hours h JOIN telemetry_trace t ON t.workspace_id = h.workspace_id AND t.root_service = h.root_service
        AND t.start >= h.hour AND t.start < h.hour + interval '1 hour'
    WHERE t.kept <> '' OR EXISTS (SELECT FROM due d WHERE d.trace_id = t.trace_id AND d.workspace_id = t.workspace_id)
), decided AS (
    SELECT workspace_id, trace_id, CASE
        WHEN errors > 0 THEN 'error'
        WHEN by_duration <= %(outstanding)s THEN 'slow'
        WHEN by_cost <= %(outstanding)s AND cost_usd > 0 THEN 'costly'
        WHEN ('x' || left(md5(trace_id::text), 8))::bit(32)::bigint < %(share)s * 4294967296 THEN 'share'
        ELSE 'dropped' END AS reason
    FROM ranked WHERE kept = ''
), kept AS (
    UPDATE telemetry_trace t SET kept = d.reason FROM decided d
    WHERE t.trace_id = d.trace_id AND t.workspace_id = d.workspace_id AND d.reason <> 'dropped'
), gone AS (
    DELETE FROM telemetry_trace t USING decided d
    WHERE t.trace_id = d.trace_id AND t.workspace_id = d.workspace_id AND d.reason = 'dropped'
        RETURNING t.workspace_id, t.trace_id
), gone_spans AS (
    DELETE FROM telemetry_span s USING gone g WHERE s.trace_id = g.trace_id AND s.workspace_id = g.workspace_id
), counted AS (
    SELECT d.reason, count(*) AS traces, sum(r.spans) AS spans
    FROM decided d JOIN ranked r USING (workspace_id, trace_id) GROUP BY 1
)
INSERT INTO telemetry_sampled AS t (reason, traces, spans) SELECT * FROM counted ORDER BY reason
ON CONFLICT (reason) DO UPDATE SET traces = t.traces + excluded.traces, spans = t.spans + excluded.spans
"""


def decide(now: datetime) -> int:
    """Decide upon the traces of which nothing came for PORTAL_TRACE_SETTLE seconds; how many were decided. Traces whose
    usage is not counted yet, as no worker ran, are left for later: what counts of them is known from their spans."""
    done = 0
    quiet_since = now - timedelta(seconds=settings.PORTAL.trace_settle)
    since = waiting.since()
    if since is not None:
        quiet_since = min(quiet_since, since - STORING)
    for _ in range(MAX_ROUNDS):
        count = decide_some(quiet_since)
        done += count
        if count < AT_ONCE:
            break
    return done


def decide_some(quiet_since: datetime) -> int:
    """Decide upon some traces; how many. Those that another process has locked are left to it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DUE, [quiet_since, AT_ONCE])
        due = cursor.fetchall()
        if due:
            workspaces, traces = zip(*due, strict=True)
            values: dict[str, Any] = {
                "workspaces": list(workspaces),
                "traces": list(traces),
                "outstanding": MAX_OUTSTANDING,
                "share": settings.PORTAL.trace_keep,
            }
            cursor.execute(_DECIDE, values)
    return len(due)


def decisions() -> list[Decided]:
    """What was kept and dropped since the first trace, by reason."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason, traces, spans FROM telemetry_sampled ORDER BY reason")
        return [Decided(*row) for row in cursor.fetchall()]
