"""The spans of traces that still arrive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

# A trace's row is undecided (kept = '') for as long as its spans arrive, and only those have an index by arrival.
_NEWEST = """
SELECT s.trace_id, s.name, s.service, s.kind, s.provider, s.model, s.tool, s.agent,
    s.input_tokens, s.output_tokens, s.cost_usd,
    s.counted_kind, s.not_counted
FROM (
    SELECT t.workspace_id, t.trace_id, t.start, t.finish, t.last_seen FROM telemetry_trace t
    WHERE t.kept = '' AND t.last_seen >= %(since)s AND (%(slugs)s::text[] IS NULL OR t.workspace_id IN (
        SELECT id FROM accounts_workspace WHERE slug = ANY (%(slugs)s)
    ))
    ORDER BY t.last_seen DESC LIMIT %(traces)s
) AS t JOIN telemetry_span s ON s.workspace_id = t.workspace_id AND s.trace_id = t.trace_id
    AND s.start BETWEEN t.start AND t.finish
ORDER BY t.last_seen DESC, s.start LIMIT %(spans)s
"""


def spans(slugs: list[str] | None, since: datetime, *, traces: int, spans: int) -> list[tuple[Any, ...]]:
    """The spans of the newest traces in the workspaces (None: all) that had some since then. Of each the trace's id
    (hex), name, service, kind, provider, model, tool, agent, input and output tokens, cost in USD, what it counted as,
    and why for nothing."""
    given = {"slugs": slugs, "since": since, "traces": traces, "spans": spans}
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, given)
        return [(trace_id.hex, *rest) for trace_id, *rest in cursor.fetchall()]
