"""Metrics in: GenAI's metrics become usage where their service sends no spans; others are taken and not kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.conf import settings

from telemetry.conventions.metrics import is_read
from telemetry.counting import streams
from telemetry.counting.streams import Reading, Stream
from telemetry.ingest.refused import Refused
from telemetry.otlp.signals import RawMetric
from telemetry.store import stream_rows, unread_metrics
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

    def count(known: stream_rows.Known, by_spans: set[str]) -> tuple[Columns, list[Rejection], dict[str, float]]:
        chosen = {stream: reading for stream, reading in read.items() if stream.calls.service not in by_spans}
        grown = {stream: streams.growth(one, known.get(stream), bounds.oldest) for stream, one in chosen.items()}
        until: dict[str, float] = {}
        for stream, reading in chosen.items():
            until[stream.calls.service] = max(until.get(stream.calls.service, 0.0), reading.time / 1e9)
        records: list[AnyRecord] = []
        for calls, sums in streams.summed(grown, read).items():
            if sums.succeeded + sum(sums.errors.values()) + len(records) > settings.PORTAL.batch_max_records:
                found.add(f"more than {settings.PORTAL.batch_max_records} calls in one export: export more often")
                continue
            records += streams.records(calls, sums)
        decoded = Decoded(records, [*range(len(records))])
        columns, rejected = prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, Pricer())
        return columns, rejected, until

    return stream_rows.store(batch_of(header), read, count), found


def note_unread(raws: Sequence[RawMetric], header: Header) -> None:
    """Note the metrics that count for nothing: those of tools and of servers too, as nothing in them tells which calls other metrics, or spans,
    tell of as well."""
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
                if name.startswith(("gen_ai.", "error.type", "team"))
            }
    return raws
