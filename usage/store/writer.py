"""4 store: a batch becomes raw rows, rollups, totals and a receipt, in one transaction, each record once.

The rows are computed here, in numpy, on two assumptions: all events are new, and the watermark is as this
process last saw it. Postgres checks both and stores everything in one statement (`usage_store`, see the
migrations). If an assumption does not hold, it stores nothing and returns the known events and the current
watermark, and the rows are computed again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np
from django.db import OperationalError, connection
from psycopg.types.numeric import Int8

from core.pg.arrays import Composite, Float8, Text, Uuid, float8, texts, uuids
from core.pg.composites import composites
from core.pg.partitions import ensure
from core.pg.statements import prepared
from core.process_cache import forgets
from promql.values import Bools, Floats, Ints
from usage.catalog.grains import FINE, Grain
from usage.records.columns import Columns, DimensionKey
from usage.records.records import Rejection
from usage.store import dimensions, partitions, span_claims
from usage.store.late import late_of
from usage.store.measures import grouped, summed
from usage.store.record_rows import records_of
from usage.store.watermark import COLUMNS, LOCK, Watermark

REASONS_KEPT = 100
LOCK_WAIT = "15s"
TOTALS = 0  # their grain
# Each try knows more of what others have stored meanwhile; past these the batch goes to the spool.
MAX_TRIES = 20


@dataclass(frozen=True)
class Batch:
    """What is known of a batch besides its rows. `failures` are the errors it met before (see
    usage.ingest.spool), by type. `by_spans`: its records are what spans became (see usage.store.span_claims);
    `waited` is for how many seconds it was held back on purpose."""

    receipt: uuid.UUID
    key_id: int
    workspace_id: int
    received_at: float
    body_bytes: int
    failures: tuple[tuple[str, float], ...] = ()
    by_spans: bool = False
    waited: float = 0.0


@dataclass(frozen=True)
class Stored:
    """How many records of a batch are in Postgres now that were not before, and how many
    had been there: the events `known`. `notes` are what its receipt says besides."""

    accepted: int
    duplicates: int
    known: frozenset[bytes] = frozenset()
    notes: tuple[str, ...] = ()


class StoreResult(NamedTuple):
    """The result of `usage_store`: whether it stored the batch, the watermark, and which
    events and claims it already knew."""

    stored: bool
    watermark: Watermark
    known: frozenset[bytes]


class Receipt(NamedTuple):
    """A row of usage_batch_receipt; times are epoch seconds, `reasons` is JSON."""

    id: uuid.UUID
    received: float
    sender: Int8
    workspace: Int8
    accepted: Int8
    duplicates: Int8
    rejected: Int8
    reasons: str
    bytes: Int8
    seconds: float
    finished: float


class Call(NamedTuple):
    """The arguments of `usage_store` besides the receipt: rows of each table, see usage/migrations/sql."""

    floors: Float8
    claimed: Uuid
    records: Composite
    traces: Text
    spans: Text
    attributes: Text
    sources: Text
    overflows: Text
    by_spans: bool
    claims: Composite
    sums: Composite
    measures: Float8
    gauges: Composite
    starts: Composite
    wait: str
    late_kinds: Text
    late_first: Float8
    lock: Int8 = Int8(LOCK.number)


# Parameters without a type of their own take it from a cast.
_ROWS = {"records": "record", "claims": "claim", "sums": "sum", "gauges": "gauge", "starts": "start"}
_GIVEN = ", ".join(
    f"{name} => %({name})s" + (f"::usage_batch_{_ROWS[name]}[]" if name in _ROWS else "") for name in Call._fields
)
_RECEIPT = ", ".join(f"%({name})s" for name in Receipt._fields)
_STORE = (
    f"SELECT u.stored, {COLUMNS.format('(u.state)')}, u.known"  # noqa: S608 - only names of our own; values are parameters
    f" FROM usage_store({_GIVEN}, receipt => ROW({_RECEIPT})::usage_batch_receipt) u"
)


@dataclass
class Memory:
    """The watermark as this process last saw it."""

    current: Watermark = Watermark(0, -np.inf, -np.inf, -np.inf)


memory = Memory()
forgets(lambda: setattr(memory, "current", Memory.current))


def store(batch: Batch, columns: Columns, rejected: Sequence[Rejection]) -> Stored:
    """Store a prepared batch. Raises django.db.DatabaseError; then nothing of it is stored."""
    return put(batch, columns, rejected, ready(batch, columns))


def ready(batch: Batch, columns: Columns) -> dict[DimensionKey, dimensions.Interned]:
    """Make what the rows point at and lie in, partitions and dimensions, each in a transaction of
    its own: it stays whatever becomes of the batch. Before a transaction that stores more than
    records; raises django.db.DatabaseError."""
    days = {*np.unique(columns.at // 86400).tolist(), batch.received_at // 86400}
    stamps = [datetime.fromtimestamp(day * 86400, UTC) for day in days]
    for table in partitions.ALL:
        ensure(table, stamps)
    return dimensions.intern(first_buckets(columns, batch))


def put(
    batch: Batch,
    columns: Columns,
    rejected: Sequence[Rejection],
    interned: Mapping[DimensionKey, dimensions.Interned],
) -> Stored:
    """Store a batch that is `ready`, within the caller's transaction if there is one.
    Raises django.db.DatabaseError."""
    kept = columns.keep(first_of_each(columns.event_ids))
    connection.ensure_connection()
    for _ in range(MAX_TRIES):
        notes = late_notes(memory.current, kept)
        result = ask(batch, columns, kept, rejected, interned, notes)
        if result.stored:
            accepted = len(kept) - kept.ghosts
            known = frozenset(columns.event_ids).difference(kept.event_ids) if len(kept) < len(columns) else frozenset()
            return Stored(accepted, len(columns) - columns.ghosts - accepted, known, notes)
        memory.current = result.watermark
        pairs = zip(kept.event_ids, claims_of(kept.event_ids, batch.workspace_id), strict=True)
        kept = kept.keep(np.flatnonzero([result.known.isdisjoint(pair) for pair in pairs]))
    raise OperationalError(f"other batches brought the same events {MAX_TRIES} times while this one was stored")


def ask(
    batch: Batch,
    columns: Columns,
    kept: Columns,
    rejected: Sequence[Rejection],
    interned: Mapping[DimensionKey, dimensions.Interned],
    notes: Sequence[str],
) -> StoreResult:
    """Ask Postgres to store the kept rows, if they are new and the watermark is as remembered."""
    current = memory.current  # read once: other threads may change it, and the request must agree with what is computed
    accepted = len(kept) - kept.ghosts
    timeless = [kept.event_ids[row] for row in np.flatnonzero(kept.timeless).tolist()]
    sums, measures = rollups(current, batch, kept, interned)
    late = late_of(kept, time.time())
    call = Call(
        floors=float8(current.floors),
        claimed=uuids(b"".join(sorted(claims_of(timeless, batch.workspace_id)))),
        **records_of(kept, interned)._asdict(),
        by_spans=batch.by_spans,
        claims=span_claims.claims_of(kept, batch.workspace_id),
        sums=sums,
        measures=measures,
        gauges=gauges(current, kept, interned),
        starts=starts(kept, interned),
        wait=LOCK_WAIT,
        late_kinds=texts([*late]),
        late_first=float8(np.array([*late.values()], dtype=np.float64)),
    )
    row_of_receipt = receipt(batch, accepted, len(columns) - columns.ghosts - accepted, rejected, notes)
    stored, *row, known = prepared(_STORE, {**call._asdict(), **row_of_receipt._asdict()})
    return StoreResult(stored, Watermark(*row), frozenset(event.bytes for event in known or ()))


def persist_keys(batch: Batch) -> list[tuple[DimensionKey, DimensionKey]]:
    """The dimensions under which a batch's earlier failures count: as a slow attempt and as an error."""
    return [(("persist", "error", ""), ("persist", "", kind)) for kind, _ in batch.failures]


def first_buckets(columns: Columns, batch: Batch) -> dict[DimensionKey, float]:
    """Each dimension of a batch with the first 15 s bucket that it has there."""
    first = firsts(columns)
    own: list[DimensionKey] = [("persist", "success", "")]
    for pair in persist_keys(batch):
        own += pair
    for key in own:
        first.setdefault(key, FINE.start(batch.received_at))
    return first


def firsts(columns: Columns) -> dict[DimensionKey, float]:
    """The first 15 s bucket of each key."""
    first = np.full(len(columns.keys), np.inf)
    np.minimum.at(first, columns.key_of, columns.at)
    return {key: FINE.start(at) for key, at in zip(columns.keys, first.tolist(), strict=True)}


def first_of_each(event_ids: Sequence[bytes]) -> Ints:
    """The rows that are the first of their event, in order."""
    first: dict[bytes, int] = {}
    for row, event in enumerate(event_ids):
        first.setdefault(event, row)
    return np.array([*first.values()], dtype=np.int64)


def claims_of(event_ids: Sequence[bytes], workspace_id: int) -> list[bytes]:
    """What is remembered of events that do not say when they happened: their ids, turned into others in each
    workspace, as two may be sent the same event."""
    mask = np.frombuffer(blake2b(workspace_id.to_bytes(8, "big"), digest_size=16).digest(), dtype=np.uint8)
    data = (np.frombuffer(b"".join(event_ids), dtype=np.uint8).reshape(-1, 16) ^ mask).tobytes()
    return [data[start : start + 16] for start in range(0, len(data), 16)]


class Sums(NamedTuple):
    """Measures of one kind to be added [rows, offsets], each row to a bucket (epoch seconds) of a dimension (id)."""

    buckets: Ints
    owners: Ints
    matrix: Floats

    def moved(self, buckets: Ints) -> Sums:
        """The same in other buckets; rows that meet there become one."""
        (starts, owners), place = grouped(buckets, self.owners)
        matrix = np.zeros((len(starts), self.matrix.shape[1]))
        np.add.at(matrix, place, self.matrix)
        return Sums(starts, owners, matrix)

    def coarser(self, grain: Grain) -> Sums:
        """The same in buckets of a grain."""
        return self if grain is FINE else self.moved(grain.start(self.buckets))

    def only(self, rows: Bools) -> Sums:
        """Some of the rows."""
        return self if rows.all() else Sums(self.buckets[rows], self.owners[rows], self.matrix[rows])


def sums_of(kind: str, owners: Ints, at: Floats, given: Mapping[str, Floats]) -> Sums:
    """The measures of records, given as a column each (see measures.summed), per 15 s bucket and dimension."""
    (buckets, ids), place = grouped(FINE.start(at).astype(np.int64), owners)
    return Sums(buckets, ids, summed(kind, place, len(ids), given))


def measures_of(kind: str, columns: Columns, latency: float) -> dict[str, Floats]:
    """The measures of a kind's rows, a column each. Refused calls (ghosts) have only their count and latency."""
    numbers = columns.numbers
    given = {"duration": numbers["duration_seconds"]}
    if kind == "llm_call":
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_usd"):
            given[name] = numbers[name]
        given["rate_limit_delay"] = numbers["rate_limit_delay_seconds"]
        usage = np.array([key[-1] != "" for key in columns.keys])
        given["latency"] = np.where(usage[columns.key_of], latency, np.nan)
        counted = ~(np.isnan(numbers["prompt_tokens"]) & np.isnan(numbers["completion_tokens"]))
        given["unpriced"] = (counted & np.isnan(numbers["cost_usd"])).astype(np.float64)
    return given


def rollups(
    current: Watermark, batch: Batch, columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]
) -> tuple[Composite, Float8]:
    """What to add to the grain of each row's age and to the totals: see `sum_rows`."""
    latency = max(0.0, time.time() - batch.received_at - batch.waited)
    parts: list[Sums] = []
    for kind in sorted({key[0] for key in columns.keys} - {"gauge"}):
        of_kind = columns.of_kind(kind)
        owners = ids_of(of_kind, interned)
        parts.append(sums_of(kind, owners, of_kind.at, measures_of(kind, of_kind, latency)))
    if len(columns):
        parts.append(persist_part(batch, latency, interned))
    every = [(TOTALS, one.moved(np.zeros_like(one.buckets))) for one in parts]
    for grain, floor, ceiling in current.ages():
        for one in parts:
            chosen = (one.buckets >= floor) & (one.buckets < ceiling)
            if chosen.any():
                every.append((grain.seconds, one.only(chosen).coarser(grain)))
    return sum_rows(every)


def sum_rows(sums: Sequence[tuple[int, Sums]]) -> tuple[Composite, Float8]:
    """Sums of some grains (usage_batch_sum), sorted, and their measures. Rows of several kinds differ in length: each
    is a slice of one array."""
    nothing: Ints = np.array([], dtype=np.int64)
    grains = np.concatenate([nothing, *(np.full(len(one.owners), grain) for grain, one in sums)])
    buckets = np.concatenate([nothing, *(one.buckets for _, one in sums)])
    owners = np.concatenate([nothing, *(one.owners for _, one in sums)])
    widths = np.concatenate([nothing, *(np.full(len(one.owners), one.matrix.shape[1]) for _, one in sums)])
    order = np.lexsort((owners, buckets, grains))
    last = np.cumsum(widths)
    rows = {
        "grain": grains[order],
        "bucket": buckets[order],
        "dimension": owners[order],
        "first": (last - widths + 1)[order],
        "last": last[order],
    }
    measures = np.concatenate([nothing, *(one.matrix.ravel() for _, one in sums)])
    return composites("usage_batch_sum", rows), float8(measures)


def ids_of(columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]) -> Ints:
    """The dimension of each row."""
    return np.array([interned[key].id for key in columns.keys], dtype=np.int64)[columns.key_of]


def persist_part(batch: Batch, latency: float, interned: Mapping[DimensionKey, dimensions.Interned]) -> Sums:
    """The portal's own measures of this batch: how long it took, and the failures it met on its way."""
    keys: list[DimensionKey] = [("persist", "success", "")]
    durations = [latency]
    for (attempt, error), (_, seconds) in zip(persist_keys(batch), batch.failures, strict=True):
        keys += [attempt, error]
        durations += [seconds, np.nan]
    ids = np.array([interned[key].id for key in keys])
    return sums_of("persist", ids, np.full(len(keys), batch.received_at), {"duration": np.array(durations)})


def gauges(current: Watermark, columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]) -> Composite:
    """The last value of each gauge in each bucket (usage_batch_gauge); below the floor of 5 min rollups samples are
    not kept (see usage.store.retention)."""
    if not any(key[0] == "gauge" for key in columns.keys):
        return composites("usage_batch_gauge", dict.fromkeys(("bucket", "dimension", "at", "value"), ()))
    samples = columns.of_kind("gauge")
    samples = samples.keep(np.flatnonzero(samples.at >= current.floor_5m))
    (buckets, ids), place = grouped(FINE.start(samples.at).astype(np.int64), ids_of(samples, interned))
    last = np.empty(len(ids), dtype=np.int64)
    order = np.argsort(samples.at, kind="stable")
    last[place[order]] = order
    rows = {"bucket": buckets, "dimension": ids, "at": samples.at[last], "value": samples.numbers["value"][last]}
    return composites("usage_batch_gauge", rows)


def starts(columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]) -> Composite:
    """Counters' starts that move back because a late record came before them (usage_batch_start)."""
    found: dict[int, float] = {}
    for key, at in firsts(columns).items():
        known = interned[key]
        if at < min(known.first_at, found.get(known.id, np.inf)):
            found[known.id] = at
    ids = sorted(found)
    return composites("usage_batch_start", {"dimension": ids, "at": [found[pk] for pk in ids]})


def late_notes(current: Watermark, columns: Columns) -> tuple[str, ...]:
    """What the receipt says of records that are older than the finest rollups are kept."""
    at = columns.at[: len(columns) - columns.ghosts]
    notes = []
    for grain, floor, ceiling in current.ages():
        number = int(((at >= floor) & (at < ceiling)).sum())
        if number and grain is not FINE:
            steps = f"in steps of {grain.seconds // 60} minutes only"
            notes.append(f"{number} of {len(at)} counted {steps}: finer rollups of their time are gone")
    if gone := int((at < current.floors[-1]).sum()):
        notes.append(f"{gone} of {len(at)} counted in the totals only: rollups of their time are gone")
    return tuple(notes)


def receipt(
    batch: Batch, accepted: int, duplicates: int, rejected: Sequence[Rejection], notes: Sequence[str]
) -> Receipt:
    """The receipt's row; a batch that is stored again keeps its first one."""
    reasons: list[dict[str, object]] = [{"note": note} for note in notes]
    reasons += [{"index": one.index, "field": one.field, "error": one.error} for one in rejected[:REASONS_KEPT]]
    now = time.time()
    return Receipt(
        id=batch.receipt,
        received=batch.received_at,
        sender=Int8(batch.key_id),
        workspace=Int8(batch.workspace_id),
        accepted=Int8(accepted),
        duplicates=Int8(duplicates),
        rejected=Int8(len(rejected)),
        reasons=msgspec.json.encode(reasons).decode(),
        bytes=Int8(batch.body_bytes),
        seconds=max(0.0, now - batch.received_at - batch.waited),
        finished=now,
    )
