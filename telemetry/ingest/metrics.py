"""Metrics in: those of GenAI and of MCP's clients become usage where their service sends no
spans; others are taken and not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from django.conf import settings

from telemetry.conventions.keys import MCP_SERVER, TOOL
from telemetry.conventions.metrics import is_read
from telemetry.counting import streams
from telemetry.counting.streams import Reading, Stream
from telemetry.ingest.refused import Refused
from telemetry.otlp.signals import RawMetric
from telemetry.store import stream_rows, unread_metrics
from telemetry.store.service_rows import Until
from usage.ingest.pipeline import batch_of, bounds_of
from usage.ingest.spool import Header
from usage.records.columns import Columns, prepare
from usage.records.pricing import Pricer
from usage.records.records import AnyRecord, Decoded, Rejection
from usage.store.writer import Stored


def store(raws: Sequence[RawMetric], header: Header) -> tuple[Stored, Refused]:
    """Store the usage that metrics tell. Raises what storing raises; then nothing of it is stored."""
    found = Refused()
    note_unread(raws, header)
    read = within_bounds(raws, header, found)
    if not read:
        return Stored(0, 0), found
    bounds = bounds_of(header.backfill, header.received_at)

    def count(known: stream_rows.Known, by_spans: set[str]) -> tuple[Columns, list[Rejection], dict[str, Until]]:
        chosen = {stream: reading for stream, reading in read.items() if stream.calls.service not in by_spans}
        grown = {stream: streams.growth(one, known.get(stream), bounds.oldest) for stream, one in chosen.items()}
        records: list[AnyRecord] = []
        for calls, sums in streams.summed(grown, read).items():
            if sums.succeeded + sum(sums.errors.values()) + len(records) > settings.PORTAL.batch_max_records:
                found.add(f"more than {settings.PORTAL.batch_max_records} calls in one export: export more often")
                continue
            records += streams.records(calls, sums)
        decoded = Decoded(records, [*range(len(records))])
        columns, rejected = prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, Pricer())
        return columns, rejected, counted_until(chosen)

    return stream_rows.store(batch_of(header), read, count), found


def counted_until(read: Mapping[Stream, Reading]) -> dict[str, Until]:
    """Up to when streams have counted the calls of each service."""
    found: dict[str, Until] = {}
    for stream, reading in read.items():
        field = "tools" if stream.measure == "tool_calls" else "models"
        until = found.get(stream.calls.service, Until())
        found[stream.calls.service] = until._replace(**{field: max(getattr(until, field), reading.time / 1e9)})
    return found


def note_unread(raws: Sequence[RawMetric], header: Header) -> None:
    """Note the metrics that count for nothing: those of servers too, as they measure what clients measure."""
    unread = {(raw.source.service, raw.name) for raw in raws if not is_read(raw.name)}
    unread_metrics.note(header.workspace_id, unread, datetime.fromtimestamp(header.received_at, UTC))


def within_bounds(raws: Sequence[RawMetric], header: Header, found: Refused) -> dict[Stream, Reading]:
    """What is said of streams of calls, within the bounds of the clock."""
    bounds = bounds_of(header.backfill, header.received_at)
    good: dict[Stream, Reading] = {}
    for stream, reading in streams.readings(raws).items():
        if not bounds.oldest <= reading.time / 1e9 <= bounds.newest:
            found.add("a data point whose time this key may not send")
        elif reading.count < 0 or not 0 <= reading.total < 2**53:
            found.add("a data point that does not count")
        else:
            good[stream] = reading
    return good


def refused(raws: Sequence[RawMetric], header: Header) -> Refused:
    """What of the metrics would be refused."""
    found = Refused()
    within_bounds(raws, header, found)
    return found


def without_content(raws: Sequence[RawMetric]) -> Sequence[RawMetric]:
    """The metrics with the attributes that are read."""
    for raw in raws:
        for point in raw.points:
            point.attributes = {
                name: value
                for name, value in point.attributes.items()
                if name.startswith(("gen_ai.", "mcp.", "error.type", "team")) or name in (*TOOL, *MCP_SERVER)
            }
    return raws
