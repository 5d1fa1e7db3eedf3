"""Spans in: from what arrived to what is stored.

raw spans -> bounds -> content apart -> meaning -> usage records -> telemetry.store.span_writer

What they become as usage is decided later (telemetry.deciding); here it is looked at as far as the request tells, for
the rows of spans and traces: what counts, what it costs, what is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from telemetry.conventions import content, keys
from telemetry.conventions.meaning import meaning_of
from telemetry.counting import reasons
from telemetry.counting.lineage import Node, decide
from telemetry.counting.records import record_of
from telemetry.deciding import waiting
from telemetry.deciding.calls import Call, Calls
from telemetry.ingest.kept import bounded, kept
from telemetry.ingest.refused import Refused
from telemetry.otlp.signals import RawSpan
from telemetry.store import span_writer
from telemetry.store.span_rows import SpanRow
from usage.ingest.pipeline import batch_of, bounds_of
from usage.ingest.spool import Header
from usage.records.columns import prepare
from usage.records.pricing import Pricer
from usage.records.records import Decoded
from usage.store.missing import Events, failures_of
from usage.store.writer import Stored

_USAGE = frozenset((*keys.INPUT, *keys.OUTPUT))


def prepare_spans(raws: Sequence[RawSpan], header: Header, pricer: Pricer | None, refused: Refused) -> list[SpanRow]:
    """The rows of the spans that are not refused. Without a `pricer` nothing is priced."""
    rows = [row_of(raw) for raw in within_bounds(raws, header, refused)]
    for row, why in zip(rows, expected(rows), strict=True):
        row.expected = not why
        row.settle(why)
    price_and_refuse(rows, header, pricer)
    return rows


def within_bounds(raws: Sequence[RawSpan], header: Header, refused: Refused) -> list[RawSpan]:
    """The spans that have ids and lie within the bounds of the clock, each once."""
    bounds = bounds_of(header.backfill, header.received_at)
    kept_since = header.received_at - settings.PORTAL.retention_traces_days * 86_400
    found: dict[tuple[bytes, bytes], RawSpan] = {}
    for raw in raws:
        end = raw.end / 1e9
        if len(raw.trace_id) != 16 or len(raw.span_id) != 8 or not any(raw.trace_id) or not any(raw.span_id):
            refused.add("a span without a valid trace id or span id")
        elif end > bounds.newest:
            refused.add("a span that ends ahead of the server's clock by more than is allowed")
        elif end < bounds.oldest or raw.start / 1e9 < kept_since:
            refused.add("a span older than this key may send")
        else:
            found.setdefault((raw.trace_id, raw.span_id), raw)
    return [*found.values()]


def row_of(raw: RawSpan) -> SpanRow:
    """A span with what it means, its content apart (dropped where none is kept)."""
    meaning = meaning_of(raw)
    raw.attributes, found = content.split(raw.attributes)
    for event in raw.events:
        event.attributes, more = content.split(event.attributes)
        found = {**found, **more} if more else found
    parent = int.from_bytes(raw.parent_id, "big", signed=True) if len(raw.parent_id) == 8 else 0
    span_id = int.from_bytes(raw.span_id, "big", signed=True)
    record = record_of(raw, meaning)
    event_id = record.event_id.bytes if record is not None and record.event_id is not None else b""
    raw.attributes = bounded(raw.attributes)
    return SpanRow(raw, meaning, span_id, parent or None, event_id, record, kept(found), len(found))


def node_of(row: SpanRow) -> Node:
    """A span as its trace's lineage sees it."""
    meaning = row.meaning
    name = {"tool": meaning.tool, "agent": meaning.agent, "llm": ""}.get(meaning.kind, meaning.service)
    has_usage = not meaning.kind and not _USAGE.isdisjoint(row.raw.attributes)
    return Node(row.span_id, row.parent_id, meaning.kind, name, has_usage)


def expected(rows: Sequence[SpanRow]) -> list[str]:
    """Why each span does not count, "" for those that do, as far as their request tells."""
    nodes: dict[bytes, list[Node]] = {}
    for row in rows:
        nodes.setdefault(row.raw.trace_id, []).append(node_of(row))
    by_trace = {trace: decide(of) for trace, of in nodes.items()}
    return [by_trace[row.raw.trace_id][row.span_id] for row in rows]


def price_and_refuse(rows: Sequence[SpanRow], header: Header, pricer: Pricer | None) -> None:
    """Fill in what the usage of spans costs, and which of it is refused."""
    chosen = [place for place, row in enumerate(rows) if row.expected]
    decoded = Decoded([record for place in chosen if (record := rows[place].record) is not None], chosen)
    bounds = bounds_of(header.backfill, header.received_at)
    columns, rejected = prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, pricer)
    for one in rejected:
        rows[one.index].refuse(f"{reasons.REFUSED}: {one.field} {one.error}")
    costs = dict(zip(columns.event_ids, columns.numbers["cost_usd"].tolist(), strict=True))
    for row in rows:
        cost = costs.get(row.event_id)
        if cost is not None and cost == cost:
            row.meaning.cost_usd = cost


def calls_of(rows: Sequence[SpanRow]) -> Calls:
    """The usage that spans may be."""
    starts = [row.start for row in rows]
    calls = [Call(row.record, row.expected, row.by_metrics) for row in rows if row.record is not None]
    return Calls(min(starts, default=0.0), max(starts, default=0.0), calls)


def store(raws: Sequence[RawSpan], header: Header) -> tuple[Stored, Refused]:
    """Store spans: how many are new, how many were there. Raises what storing raises;
    then nothing of them is stored."""
    refused = Refused()
    rows = prepare_spans(raws, header, Pricer(), refused)
    if not rows:
        return Stored(0, 0), refused
    new = span_writer.store(batch_of(header), rows, lambda fresh: waiting.put(header, calls_of(fresh)))
    return Stored(new, len(raws) - refused.count - new), refused


def events(raws: Sequence[RawSpan], header: Header) -> Events:
    """The usage events that the spans are, as far as they tell."""
    records = [row.record for row in prepare_spans(raws, header, None, Refused()) if row.expected and row.record]
    bounds = bounds_of(header.backfill, header.received_at)
    decoded = Decoded(records, [*range(len(records))])
    columns, _ = prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, None)
    return failures_of(columns)


def refused(raws: Sequence[RawSpan], header: Header) -> Refused:
    """Which of the spans would be refused."""
    found = Refused()
    within_bounds(raws, header, found)
    return found


def without_content(raws: Sequence[RawSpan]) -> Sequence[RawSpan]:
    """The spans without what people and models wrote."""
    for raw in raws:
        raw.attributes, _ = content.split(raw.attributes)
        for event in raw.events:
            event.attributes, _ = content.split(event.attributes)
    return raws
