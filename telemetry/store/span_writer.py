"""Writes of spans: the rows, their traces in short and the usage that they may be, in one transaction.

The rows of a batch's traces are locked first, so that nobody decides what spans of these traces become
(telemetry.deciding) while more of them are stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from django.db import connection, transaction

from core.pg.partitions import ensure
from core.pg.statements import prepared
from telemetry.conventions.kinds import MCP_METHOD
from telemetry.counting import reasons
from telemetry.store import partitions, service_rows, trace_rows
from telemetry.store.service_rows import Until
from telemetry.store.span_rows import INSERT, SpanRow, arrays_of
from usage.store.writer import Batch

DAY = 86_400


def store(batch: Batch, rows: Sequence[SpanRow], wait: Callable[[Sequence[SpanRow]], None]) -> int:
    """Store spans; how many are new. `wait` lets the usage wait that these may be. Raises
    django.db.DatabaseError; then nothing is stored."""
    ensure(partitions.SPANS, [datetime.fromtimestamp(day * DAY, UTC) for day in {row.start // DAY for row in rows}])
    with transaction.atomic():
        connection.ensure_connection()
        leave_to_metrics(rows, counted_by_metrics(rows, batch))
        additions = {trace: trace_rows.addition_of(of) for trace, of in by_trace(rows).items()}
        known = trace_rows.lock(additions, batch.workspace_id, time.time())
        fresh = insert(rows, batch)
        if known:
            later = {trace: of for trace, of in by_trace(fresh).items() if trace in known}
            trace_rows.add({trace: trace_rows.addition_of(of) for trace, of in later.items()}, batch.workspace_id)
        wait(fresh)
    return len(fresh)


def by_trace(rows: Sequence[SpanRow]) -> dict[bytes, list[SpanRow]]:
    """The spans of each trace."""
    found: dict[bytes, list[SpanRow]] = {}
    for row in rows:
        found.setdefault(row.raw.trace_id, []).append(row)
    return found


def counted_by_metrics(rows: Sequence[SpanRow], batch: Batch) -> dict[str, Until]:
    """Up to when metrics have counted the services that send spans now."""
    services = {row.meaning.service for row in rows}
    return service_rows.note_spans(batch.workspace_id, services, datetime.fromtimestamp(batch.received_at, UTC))


def leave_to_metrics(rows: Sequence[SpanRow], until: Mapping[str, Until]) -> None:
    """Let calls not count that their service's metrics had counted before its first spans came."""
    if any(map(any, until.values())):
        for row in rows:
            if row.raw.end / 1e9 <= counted_until(row, until[row.meaning.service]):
                row.settle(reasons.METRICS)
                row.by_metrics = True


def counted_until(row: SpanRow, until: Until) -> float:
    """Up to when metrics have counted calls such as a span's (epoch seconds); of tools they count those of MCP."""
    if row.meaning.kind == "llm":
        return until.models
    return until.tools if row.meaning.kind == "tool" and MCP_METHOD in row.raw.attributes else 0.0


def insert(rows: Sequence[SpanRow], batch: Batch) -> Sequence[SpanRow]:
    """Insert the spans that are not there yet; these."""
    count, traces, spans = prepared(INSERT, arrays_of(rows, batch.workspace_id, batch.receipt))
    if count == len(rows):
        return rows
    new = {(trace.bytes, span) for trace, span in zip(traces or (), spans or (), strict=True)}
    return [row for row in rows if (row.raw.trace_id, row.span_id) in new]
