"""Exemplars: for a histogram of durations, calls that show where its values come from, each with the trace that it was
in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import connection

from telemetry.store.ids import trace_uuid
from telemetry.store.reading.traces import visible
from usage.catalog import Family
from usage.series import exposition

# Bins of the range; of each bin and label set the slowest call is taken, of at most so many calls.
BINS, MAX_READ, MAX_EXEMPLARS = 60, 100_000, 500


class Exemplar(NamedTuple):
    """A call: the labels of its series, its duration (s), when it ended, and its trace and span in hex."""

    labels: dict[str, str]
    value: float
    at: datetime
    trace_id: str
    span_id: str


_SLOWEST = """
SELECT DISTINCT ON (bin, r.dimension_id) d.labels::text, r.duration_seconds, r.at, r.trace_id, r.span_id
FROM (
    SELECT r.dimension_id, r.duration_seconds, r.at, r.trace_id, r.span_id, floor(extract(epoch FROM r.at) / %s) AS bin
    FROM usage_record r WHERE {where} AND r.at >= %s AND r.at < %s
    AND r.duration_seconds IS NOT NULL AND r.trace_id ~ '^[0-9a-f]{{32}}$' LIMIT %s
) r JOIN usage_dimension d ON d.id = r.dimension_id AND d.kind = %s
ORDER BY bin DESC, r.dimension_id, r.duration_seconds DESC LIMIT %s
"""


# How far back an exposition's exemplars lie (s), at most so many.
RECENT_SECONDS, MAX_RECENT = 300, 2_000
# The traces that sampling keeps whatever else comes: those with an error, and the share.
_RECENT = """
SELECT r.dimension_id, r.duration_seconds, extract(epoch FROM r.at)::float8, r.trace_id, r.span_id
FROM usage_record r JOIN telemetry_trace t ON t.trace_id = r.trace_id::uuid AND t.workspace_id = r.workspace_id
WHERE r.at >= to_timestamp(%s) AND r.at < to_timestamp(%s) AND r.duration_seconds IS NOT NULL
    AND r.trace_id ~ '^[0-9a-f]{32}$'
    AND (t.errors > 0 OR t.kept <> '' OR ('x' || left(md5(t.trace_id::text), 8))::bit(32)::bigint < %s * 4294967296)
LIMIT %s
"""


def recent(now: float) -> list[exposition.Exemplar]:
    """Calls of the last minutes in traces that stay, for an exposition. Raises django.db.DatabaseError."""
    values = [now - RECENT_SECONDS, now, settings.PORTAL.trace_keep, MAX_RECENT]
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, values)
        return [exposition.Exemplar(*row) for row in cursor.fetchall()]


def has_exemplars(family: Family) -> bool:
    """Whether the family's values are the durations of single calls."""
    return family.type == "histogram" and family.measure == "duration" and family.kind != "persist"


def exemplars(
    family: Family,
    wanted: Callable[[Mapping[str, str]], bool],
    slugs: frozenset[str] | None,
    start: datetime,
    end: datetime,
) -> list[Exemplar]:
    """The slowest calls of each bin of [start, end) and label set that is `wanted`, of traces that are kept."""
    values: list[Any] = []
    where = visible("r", slugs, values)
    width = max((end - start).total_seconds() / BINS, 1.0)
    with connection.cursor() as cursor:
        cursor.execute(_SLOWEST.format(where=where), [width, *values, start, end, MAX_READ, family.kind, MAX_EXEMPLARS])
        rows = cursor.fetchall()
    found = []
    for text, value, at, trace_id, span_id in rows:
        given = msgspec.json.decode(text, type=dict[str, str])
        labels = {name: label for name, label in family.shown(given).items() if label}
        if family.covers(given) and wanted(labels):
            found.append(Exemplar(labels, value, at, trace_id, span_id))
    kept = _kept({one.trace_id for one in found})
    return [one for one in found if one.trace_id in kept]


def _kept(ids: set[str]) -> set[str]:
    """Those of the traces that are there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trace_id FROM telemetry_trace WHERE trace_id = ANY (%s)", [[trace_uuid(one) for one in ids]]
        )
        return {found.hex for (found,) in cursor.fetchall()}
