"""What each service sends. Metrics count where no spans come, and spans of a time that metrics have counted do not
count again.

A transaction that stores the first spans of a service and one that counts its metrics both take the service's row, so
that the later one sees what the other did. That a service sends spans is noted once a minute, and remembered by each
process.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from core.process_cache import ProcessCache


class Until(NamedTuple):
    """Up to when metrics have counted a service's calls of models and of tools (epoch seconds, 0 for never)."""

    models: float = 0.0
    tools: float = 0.0


# A service that sent spans within this time is counted by them; longer than spans are noted again.
SENDS_SPANS = 3600.0
NOTE_AGAIN = 60.0
# Of each service of a workspace: when its spans were noted last (monotonic), and up to when metrics had
# counted.
_noted: ProcessCache[tuple[int, str], tuple[float, Until]] = ProcessCache(10_000)


def note_spans(workspace_id: int, services: Collection[str], at: datetime) -> dict[str, Until]:
    """Note, within the transaction that stores them, that services send spans; up to when metrics have counted each."""
    now = time.monotonic()
    noted = _noted.known((workspace_id, name) for name in services)
    known = {name: until for (_, name), (at_noted, until) in noted.items() if at_noted > now - NOTE_AGAIN}
    due = sorted(set(services) - known.keys())
    if due:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO telemetry_service AS s (workspace_id, service, first_seen, spans_at)"
                " SELECT %s, name, %s, %s FROM unnest(%s::text[]) name ORDER BY name"
                " ON CONFLICT (workspace_id, service) DO UPDATE SET spans_at = greatest(s.spans_at, excluded.spans_at)"
                " RETURNING service, coalesce(extract(epoch FROM metrics_until), 0)::float8,"
                " coalesce(extract(epoch FROM tools_until), 0)::float8",
                [workspace_id, at, at, due],
            )
            fresh = {name: Until(*until) for name, *until in cursor.fetchall()}
        transaction.on_commit(lambda: _remember(workspace_id, fresh, now))
        known |= fresh
    return known


def _remember(workspace_id: int, fresh: dict[str, Until], now: float) -> None:
    _noted.keep({(workspace_id, name): (now, until) for name, until in fresh.items()})


def take_for_metrics(workspace_id: int, services: Iterable[str], at: datetime) -> set[str]:
    """Take the rows of services until the end of the transaction; those of them that are counted by spans."""
    names = sorted(set(services))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_service AS s (workspace_id, service, first_seen, metrics_at)"
            " SELECT %s, name, %s, %s FROM unnest(%s::text[]) name ORDER BY name"
            " ON CONFLICT (workspace_id, service) DO UPDATE SET metrics_at = greatest(s.metrics_at,"
            " excluded.metrics_at)"
            " RETURNING service, coalesce(spans_at > %s - make_interval(secs => %s), false)",
            [workspace_id, at, at, names, at, SENDS_SPANS],
        )
        return {name for name, by_spans in cursor.fetchall() if by_spans}


def counted_by_metrics(workspace_id: int, until: dict[str, Until]) -> None:
    """Note up to when metrics have counted services."""
    models, tools = ([*column] for column in zip(*until.values(), strict=True)) if until else ([], [])
    given: list[Any] = [[*until], models, tools, workspace_id]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE telemetry_service s SET"
            " metrics_until = greatest(s.metrics_until, to_timestamp(nullif(g.models, 0))),"
            " tools_until = greatest(s.tools_until, to_timestamp(nullif(g.tools, 0)))"
            " FROM unnest(%s::text[], %s::float8[], %s::float8[]) AS g (name, models, tools)"
            " WHERE s.service = g.name AND s.workspace_id = %s",
            given,
        )


def note_logs(workspace_id: int, services: Iterable[str], at: datetime) -> None:
    """Note that services send logs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_service AS s (workspace_id, service, first_seen, logs_at)"
            " SELECT %s, name, %s, %s FROM unnest(%s::text[]) name ORDER BY name"
            " ON CONFLICT (workspace_id, service) DO UPDATE SET logs_at = excluded.logs_at"
            " WHERE s.logs_at IS NULL OR s.logs_at < excluded.logs_at - make_interval(secs => %s)",
            [workspace_id, at, at, sorted(set(services)), NOTE_AGAIN],
        )
