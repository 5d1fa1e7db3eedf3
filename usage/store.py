"""4 store: a batch becomes raw rows, rollups, totals and a receipt, in one transaction, each record once.

The way of a transaction: join the epoch; claim the event ids that are new; copy their rows; add their measures to the rollups and
totals; write the receipt; commit. Rows that many batches share (totals) come last, so that they are locked for the shortest time.
Any number of processes may store at once: shared rows are always taken in ascending order.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from django.db import connection, transaction

from usage import dimensions, epoch, partitions, raw_rows
from usage.measures import Floats, Ints, array_texts, layout, optional, summed
from usage.prepare import Columns, DimensionKey
from usage.records import Gauge, Rejection

GRAINS = {"usage_rollup_15s": 15, "usage_rollup_5m": 300, "usage_rollup_1h": 3600}
REASONS_KEPT = 100


@dataclass(frozen=True)
class Batch:
    """What is known of a batch besides its rows. `failures` are the errors it met before (see usage.spool), by type."""

    receipt: uuid.UUID
    key_id: int
    workspace_id: int
    received_at: float
    body_bytes: int
    failures: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Stored:
    """How many records of a batch are in Postgres now that were not before, and how many had been there."""

    accepted: int
    duplicates: int


def store(batch: Batch, columns: Columns, rejected: Sequence[Rejection]) -> Stored:
    """Store a prepared batch. Raises django.db.DatabaseError; then nothing of it is stored."""
    days = {at // 86400 for at in (*columns.at, batch.received_at)}
    stamps = [datetime.fromtimestamp(day * 86400, UTC) for day in days]
    for table in partitions.ALL:
        partitions.ensure(table, stamps)
    interned = dimensions.intern(first_buckets(columns, batch))
    with transaction.atomic(), connection.cursor() as cursor:
        state, fresh = claim_events(columns.event_ids)
        kept = columns if len(fresh) == len(columns) else columns.keep(fresh)
        accepted = len(kept) - kept.ghosts
        data = raw_rows.encode(kept, interned, batch.receipt, batch.key_id, batch.received_at)
        if data:
            with cursor.copy(raw_rows.COPY) as copy:
                copy.write(data)
        writes = Writes()
        add_rollups(writes, state, batch, kept, interned)
        write_receipt(writes, batch, accepted, len(columns) - columns.ghosts - accepted, rejected)
        writes.send()
    return Stored(accepted, len(columns) - columns.ghosts - accepted)


def persist_keys(batch: Batch) -> list[tuple[DimensionKey, DimensionKey]]:
    """The dimensions under which a batch's earlier failures count: as a slow attempt and as an error."""
    return [(("persist", "error", ""), ("persist", "", kind)) for kind, _ in batch.failures]


def first_buckets(columns: Columns, batch: Batch) -> dict[DimensionKey, float]:
    """Each dimension of a batch with the first 15 s bucket that it has there."""
    first: dict[DimensionKey, float] = {}
    for key, at in zip(columns.dimensions, columns.at, strict=True):
        if key not in first or at < first[key]:
            first[key] = at
    own: list[DimensionKey] = [("persist", "success", "")]
    for pair in persist_keys(batch):
        own += pair
    for key in own:
        first.setdefault(key, batch.received_at)
    return {key: at // 15 * 15 for key, at in first.items()}


def claim_events(event_ids: Sequence[uuid.UUID]) -> tuple[epoch.State, list[int]]:
    """The epoch, and the rows whose event had not been seen, in order; from now on it has. Of a batch's own doubles the first is fresh."""
    first = {event: row for row, event in reversed(list(enumerate(event_ids)))}
    state, fresh = epoch.join(list(first))
    return state, sorted(row for event, row in first.items() if fresh is None or event in fresh)


@dataclass
class Writes:
    """The last statements of a transaction, gathered to be sent as one: each round trip is time in which shared rows stay locked."""

    statements: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, statement: str, *values: Any) -> None:
        """One more INSERT or UPDATE. They see the table as it was before any of them."""
        self.statements.append(f"w{len(self.statements)} AS ({statement})")
        self.values += values

    def send(self) -> None:
        """Execute them."""
        epoch.prepared(f"WITH {', '.join(self.statements)} SELECT 1", self.values)


def kind_measures(kind: str, columns: Columns, rows: Sequence[int], latency: float) -> Floats:
    """The measures of a kind's rows as a matrix [rows, slots]. Refused calls (ghosts) have only their count and latency."""
    records = [columns.records[row] for row in rows]
    given = {
        "duration": optional([getattr(record, "duration_seconds", None) for record in records]),
    }
    if kind == "llm_call":
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"):
            given[name] = optional([getattr(record, name, None) for record in records])
        given["rate_limit_delay"] = optional([getattr(record, "rate_limit_delay_seconds", None) for record in records])
        given["cost_usd"] = optional([columns.costs[row] for row in rows])
        usage = np.array([columns.dimensions[row][-1] != "" for row in rows])
        given["latency"] = np.where(usage, latency, np.nan)
        counted = ~(np.isnan(given["prompt_tokens"]) & np.isnan(given["completion_tokens"]))
        given["unpriced"] = (counted & np.isnan(given["cost_usd"])).astype(np.float64)
    return layout(kind, len(rows), given)


def add_rollups(
    writes: Writes,
    state: epoch.State,
    batch: Batch,
    columns: Columns,
    interned: dict[DimensionKey, dimensions.Interned],
) -> None:
    """Add the rows' measures to the grain of their age and to the totals, keep gauges' samples, and mark what is to be coarsened."""
    latency = max(0.0, time.time() - batch.received_at)
    ids = np.array([interned[key].id for key in columns.dimensions], dtype=np.int64)
    at = np.array(columns.at, dtype=np.float64)
    by_kind: dict[str, list[int]] = {}
    for row, key in enumerate(columns.dimensions):
        by_kind.setdefault(key[0], []).append(row)
    parts: list[tuple[str, Ints, Floats, Floats]] = []
    for kind, rows in by_kind.items():
        if kind == "gauge":
            add_gauges(writes, columns, rows, ids, at)
        else:
            parts.append((kind, ids[rows], at[rows], kind_measures(kind, columns, rows, latency)))
    if len(columns):
        parts.append(persist_part(batch, latency, interned))
    add_buckets(writes, state, parts)
    push_back_first(writes, columns, interned)
    add_totals(writes, parts)


def persist_part(
    batch: Batch, latency: float, interned: dict[DimensionKey, dimensions.Interned]
) -> tuple[str, Ints, Floats, Floats]:
    """The portal's own measures of this batch: how long it took, and the failures it met on its way."""
    keys: list[DimensionKey] = [("persist", "success", "")]
    durations: list[float | None] = [latency]
    for (attempt, error), (_, seconds) in zip(persist_keys(batch), batch.failures, strict=True):
        keys += [attempt, error]
        durations += [seconds, None]
    ids = np.array([interned[key].id for key in keys], dtype=np.int64)
    at = np.full(len(keys), batch.received_at)
    return "persist", ids, at, layout("persist", len(keys), {"duration": optional(durations)})


_ADD = """
INSERT INTO {table} AS r (bucket, dimension_id, measures)
SELECT to_timestamp(b), d, m::float8[] FROM unnest(%s::float8[], %s::bigint[], %s::text[]) AS t (b, d, m)
ON CONFLICT (bucket, dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures)
"""


def add_buckets(writes: Writes, state: epoch.State, parts: Sequence[tuple[str, Ints, Floats, Floats]]) -> None:
    """Upsert the rollups; a record older than a grain's floor goes to the next coarser grain."""
    dirty: set[float] = set()
    for table, floor, ceiling in (
        ("usage_rollup_15s", state.floor_15s, np.inf),
        ("usage_rollup_5m", state.floor_5m, state.floor_15s),
        ("usage_rollup_1h", state.floor_1h, state.floor_5m),
    ):
        rows: list[tuple[float, int, str]] = []
        for _, ids, at, matrix in parts:
            chosen = (at >= floor) & (at < ceiling)
            if chosen.any():
                buckets = (at[chosen] // GRAINS[table] * GRAINS[table]).astype(np.int64)
                (starts, owners), sums = summed((buckets, ids[chosen]), matrix[chosen])
                rows += zip(starts.tolist(), owners.tolist(), array_texts(sums), strict=True)
        if rows:
            rows.sort()
            writes.add(_ADD.format(table=table), *map(list, zip(*rows, strict=True)))
            if table != "usage_rollup_1h":
                dirty |= {start // 300 * 300 for start, _, _ in rows}
    if dirty:
        writes.add(
            "INSERT INTO usage_dirtybucket (bucket, claimed) SELECT to_timestamp(b), false FROM unnest(%s::float8[]) AS t (b)"
            " ON CONFLICT DO NOTHING",
            sorted(dirty),
        )


def add_gauges(writes: Writes, columns: Columns, rows: Sequence[int], ids: Ints, at: Floats) -> None:
    """Keep the last value of each gauge in each bucket."""
    last: dict[tuple[float, int], tuple[float, float]] = {}
    for row in rows:
        record = columns.records[row]
        if not isinstance(record, Gauge):
            continue
        place = (float(at[row]) // 15 * 15, int(ids[row]))
        if place not in last or at[row] >= last[place][0]:
            last[place] = (float(at[row]), record.value)
    ordered = sorted((bucket, owner, when, value) for (bucket, owner), (when, value) in last.items())
    writes.add(
        "INSERT INTO usage_gauge_sample AS g (bucket, dimension_id, at, value)"
        " SELECT to_timestamp(b), d, to_timestamp(a), v"
        " FROM unnest(%s::float8[], %s::bigint[], %s::float8[], %s::float8[]) AS t (b, d, a, v)"
        " ON CONFLICT (dimension_id, bucket) DO UPDATE SET at = excluded.at, value = excluded.value WHERE excluded.at >= g.at",
        *map(list, zip(*ordered, strict=True)),
    )


def push_back_first(writes: Writes, columns: Columns, interned: dict[DimensionKey, dimensions.Interned]) -> None:
    """Move a counter's start back where a late record came before it."""
    earlier: dict[int, float] = {}
    for key, at in zip(columns.dimensions, columns.at, strict=True):
        bucket = at // 15 * 15
        known = interned[key]
        if bucket < known.first_at and bucket < earlier.get(known.id, np.inf):
            earlier[known.id] = bucket
    if earlier:
        pairs = sorted(earlier.items())
        writes.add(
            "UPDATE usage_dimension d SET first_at = to_timestamp(t.at)"
            " FROM unnest(%s::bigint[], %s::float8[]) AS t (id, at) WHERE d.id = t.id AND d.first_at > to_timestamp(t.at)",
            *map(list, zip(*pairs, strict=True)),
        )


def add_totals(writes: Writes, parts: Sequence[tuple[str, Ints, Floats, Floats]]) -> None:
    """Add to the lifetime sums."""
    rows: list[tuple[int, str]] = []
    for _, ids, _, matrix in parts:
        (owners,), sums = summed((ids,), matrix)
        rows += zip(owners.tolist(), array_texts(sums), strict=True)
    if rows:
        rows.sort()
        writes.add(
            "INSERT INTO usage_total AS r (dimension_id, measures)"
            " SELECT d, m::float8[] FROM unnest(%s::bigint[], %s::text[]) AS t (d, m)"
            " ON CONFLICT (dimension_id) DO UPDATE SET measures = usage_add(r.measures, excluded.measures)",
            *map(list, zip(*rows, strict=True)),
        )


def write_receipt(writes: Writes, batch: Batch, accepted: int, duplicates: int, rejected: Sequence[Rejection]) -> None:
    """The receipt's row; a batch that is stored again keeps its first one."""
    reasons = [{"index": one.index, "field": one.field, "error": one.error} for one in rejected[:REASONS_KEPT]]
    now = time.time()
    writes.add(
        "INSERT INTO usage_receipt (id, received_at, key_id, workspace_id, state, accepted, duplicates, rejected, reasons,"
        " body_bytes, seconds, stored_at) VALUES (%s, to_timestamp(%s), %s, %s, 'stored', %s, %s, %s, %s, %s, %s, to_timestamp(%s))"
        " ON CONFLICT DO NOTHING",
        batch.receipt,
        batch.received_at,
        batch.key_id,
        batch.workspace_id,
        accepted,
        duplicates,
        len(rejected),
        msgspec.json.encode(reasons).decode(),
        batch.body_bytes,
        max(0.0, now - batch.received_at),
        now,
    )
