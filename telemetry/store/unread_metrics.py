"""The names of metrics that arrived and count for nothing, so that a page can say that they came. Noted
once a minute, bounded per workspace."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from core.process_cache import ProcessCache
from telemetry.store.reading.traces import visible
from telemetry.store.span_rows import storable

NOTE_AGAIN = 60.0
MAX_NAMES = 1_000  # of a workspace
MAX_LENGTH = 200
# When each was noted last (monotonic).
_noted: ProcessCache[tuple[int, str, str], float] = ProcessCache(10_000)


def note(workspace_id: int, found: Iterable[tuple[str, str]], at: datetime) -> None:
    """Note services and metrics. Raises django.db.DatabaseError."""
    now = time.monotonic()
    keys = {(workspace_id, service[:MAX_LENGTH], metric[:MAX_LENGTH]) for service, metric in found}
    known = _noted.known(keys)
    due = sorted(key for key in keys if known.get(key, -NOTE_AGAIN) <= now - NOTE_AGAIN)[:MAX_NAMES]
    if not due:
        return
    services, metrics = storable([key[1] for key in due]), storable([key[2] for key in due])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_unread_metric AS u (workspace_id, service, metric, seen)"
            " SELECT DISTINCT %s::bigint, service, metric, %s::timestamptz"
            " FROM unnest(%s::text[], %s::text[]) AS g (service, metric)"
            " WHERE (SELECT count(*) FROM telemetry_unread_metric o WHERE o.workspace_id = %s) < %s"
            " ORDER BY service, metric"
            " ON CONFLICT (workspace_id, service, metric) DO UPDATE SET seen = greatest(u.seen, excluded.seen)",
            [workspace_id, at, services, metrics, workspace_id, MAX_NAMES],
        )
    _noted.keep(dict.fromkeys(due, now))


def since(slugs: frozenset[str] | None, start: datetime, most: int) -> list[tuple[str, str]]:
    """Services and the metrics that came since a time, of the workspaces (None: all)."""
    values: list[Any] = []
    where = visible("u", slugs, values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT u.service, u.metric FROM telemetry_unread_metric u WHERE {where} AND u.seen >= %s"  # noqa: S608 - only names of our own; values are parameters
            " ORDER BY 1, 2 LIMIT %s",
            [*values, start, most],
        )
        return list(cursor.fetchall())


def forget(before: datetime) -> None:
    """Forget what did not come since a time."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM telemetry_unread_metric WHERE seen < %s", [before])
