"""Reads over many traces: how often a facet has a value, dots for a chart, what is special in some of them, what is
usual for one.

All but `count` look at the newest `MAX_TRACES` traces that match, so that they take the same time however many there
are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from telemetry.store.reading.traces import FACETS, TraceFilters, TraceRow, conditions, visible

MAX_TRACES = 20_000
MAX_COUNTED = 10_000
PEERS = timedelta(hours=24)


@dataclass(frozen=True)
class FacetCounts:
    """Of how many traces, how many of them with errors, and for each facet how many traces have each value, the most
    frequent first; `kept` is why sampling kept them, empty where it has not decided yet."""

    traces: int
    errors: int
    values: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)
    kept: Sequence[tuple[str, int]] = ()

    @property
    def cut(self) -> bool:
        """Whether there are more traces than were looked at."""
        return self.traces >= MAX_TRACES


class Dot(NamedTuple):
    """A trace as a point of the chart."""

    trace_id: str
    start: datetime
    duration: float
    failed: bool
    name: str
    cost_usd: float


@dataclass(frozen=True)
class Special:
    """The value that is most over-represented among some traces: its share there and among all, in 0 to 1."""

    name: str
    value: str
    share: float
    usual: float

    @property
    def times(self) -> float:
        """How many times more frequent it is."""
        return self.share / self.usual if self.usual else float("inf")


class Peers(NamedTuple):
    """The other traces with the same root in the last 24 hours: how many, their median and p95 (s), median cost, and
    the share that is faster."""

    traces: int
    median: float
    p95: float
    median_cost: float
    faster: float


def count(filters: TraceFilters) -> int:
    """How many traces match, `MAX_COUNTED` + 1 standing for more."""
    where, values = conditions(filters)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM telemetry_trace t WHERE {where} LIMIT %s) m",  # noqa: S608 - only names of our own; values are parameters
            [*values, MAX_COUNTED + 1],
        )
        return int(cursor.fetchone()[0])


def facet_counts(filters: TraceFilters) -> FacetCounts:
    """What the matching traces have, by facet."""
    where, values = conditions(filters)
    newest = (
        f"SELECT t.facets, t.errors, t.kept FROM telemetry_trace t WHERE {where}"  # noqa: S608 - only names of our own; values are parameters
        f" ORDER BY t.start DESC LIMIT {MAX_TRACES}"
    )
    query = (
        f"WITH newest AS MATERIALIZED ({newest})"  # noqa: S608 - only names of our own; values are parameters
        " SELECT '', count(*), count(*) FILTER (WHERE errors > 0) FROM newest"
        " UNION ALL (SELECT f, count(*), 0 FROM newest, unnest(facets) f GROUP BY f ORDER BY 2 DESC LIMIT 1000)"
        " UNION ALL (SELECT 'kept:' || kept, count(*), 0 FROM newest GROUP BY kept ORDER BY 2 DESC)"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        (_, traces, errors), *rows = cursor.fetchall()
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in FACETS}
    for text, number, _ in rows:
        name, _, value = text.partition(":")
        found.setdefault(name, []).append((value, number))
    return FacetCounts(traces, errors, found, found.pop("kept", []))


def dots(filters: TraceFilters, most: int = 1500) -> list[Dot]:
    """Matching traces as dots: those with errors first, then any, as their ids are random."""
    where, values = conditions(filters)
    columns = "t.trace_id, t.start, t.duration, t.errors > 0 AS failed, t.root_name, t.cost_usd"
    query = (
        f"SELECT * FROM (SELECT {columns} FROM telemetry_trace t WHERE {where} ORDER BY t.start DESC LIMIT"  # noqa: S608 - only names of our own; values are parameters
        f" {MAX_TRACES}) newest"
        " ORDER BY failed DESC, trace_id LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [*values, most])
        return [Dot(row[0].hex, *row[1:]) for row in cursor.fetchall()]


def special(chosen: FacetCounts, among: FacetCounts, known: frozenset[tuple[str, str]]) -> Special | None:
    """What is most over-represented among the chosen traces against all those among which they were chosen; None where
    nothing stands out.

    A value that fewer than three of them have, or that the search asks for, says nothing.
    """
    if not chosen.traces or not among.traces:
        return None
    usual = {(name, value): number / among.traces for name, rows in among.values.items() for value, number in rows}
    candidates = [
        Special(name, value, number / chosen.traces, usual.get((name, value), number / among.traces))
        for name, rows in chosen.values.items()
        for value, number in rows
        if number >= 3 and (name, value) not in known and name not in ("session", "user")
    ]
    if chosen.errors >= 3 and among.errors:
        candidates.append(Special("status", "error", chosen.errors / chosen.traces, among.errors / among.traces))
    telling = [one for one in candidates if one.times >= 1.5]
    # Frequent and unusual: a value of all the chosen, twice as frequent as usual, says more than a rare one, ten times
    # so.
    return max(telling, key=lambda one: one.share - one.usual, default=None)


def peers(trace: TraceRow, slugs: frozenset[str] | None, now: datetime) -> Peers:
    """What is usual for executions that begin as this one does."""
    values: list[Any] = []
    where = visible("t", slugs, values)
    query = (
        "SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY duration), 0),"  # noqa: S608 - only names of our own; values are parameters
        " coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY duration), 0),"
        " coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY cost_usd), 0),"
        " coalesce(avg((duration < %s)::int), 0)::float8 FROM ("
        f"SELECT t.duration, t.cost_usd FROM telemetry_trace t WHERE {where} AND t.start >= %s AND t.root_name = %s AND"
        " t.root_service = %s"
        f" AND t.has_root AND t.trace_id <> %s::uuid ORDER BY t.start DESC LIMIT {MAX_TRACES}) p"
    )
    given = [
        trace.duration,
        *values,
        min(now, trace.start) - PEERS,
        trace.root_name,
        trace.root_service,
        trace.trace_id,
    ]
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return Peers(*cursor.fetchone())
