"""What a page says of one span: its numbers, what it was counted as or why not, its
price, attributes, events, links, logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from telemetry.counting.reasons import WAITING, sentence
from telemetry.pages.chips import is_trace_id
from telemetry.pages.traces.waterfall import failed, first_token, type_of
from telemetry.store.reading import logs, trace_context
from telemetry.store.reading.trace_context import Record
from telemetry.store.reading.traces import Span, TraceRow
from usage.records.pricing import Band, rate_of

MAX_LOGS, MAX_EVENTS, SHOWN_ATTRIBUTES = 50, 50, 12
ALERTS_AROUND = 30.0  # seconds; rules are evaluated every so often


@dataclass(frozen=True)
class Event:
    """Something that happened within a span."""

    name: str
    at: datetime
    offset: float
    attributes: list[tuple[str, str]]


@dataclass(frozen=True)
class Link:
    """Another span that this one names."""

    trace_id: str
    span_id: str
    attributes: list[tuple[str, str]]


@dataclass(frozen=True)
class Detail:
    """A span for its part of the page. `offset` is its start in seconds of the trace;
    shares are percent of all its tokens."""

    span: Span
    type: str
    failed: bool
    offset: float
    first_token: float | None
    speed: float | None
    record: Record | None
    why_not: str
    price: Band | None
    price_source: str
    attributes: list[tuple[str, str]]
    more_attributes: list[tuple[str, str]]
    resource: list[tuple[str, str]]
    events: list[Event]
    links: list[Link]
    logs: list[logs.Log]

    @property
    def end(self) -> float:
        """Its end in seconds of the trace."""
        return self.offset + self.span.duration

    @property
    def meanwhile(self) -> str:
        """The time about the span, and what it called, as parameters of a URL."""
        start = self.span.start.timestamp() - ALERTS_AROUND
        end = start + self.span.duration + 2 * ALERTS_AROUND
        about = [value for value in (self.span.tool, self.span.model, self.span.provider, self.span.agent) if value]
        return urlencode({"from": int(start * 1000), "to": int(end * 1000), "about": about}, doseq=True)

    @property
    def alike_url(self) -> str:
        """The address of the traces of a day that call the same model or tool."""
        same = f"model={self.span.model}" if self.span.model else f"tool={self.span.tool}"
        return f"{reverse('traces')}?{urlencode({'q': same, 'range': '24h'})}"

    @property
    def tokens(self) -> list[tuple[str, int, float, float]]:
        """Its tokens by what they are: name, count, share and offset in percent."""
        span = self.span
        cached, reasoning = span.cached_tokens or 0, span.reasoning_tokens or 0
        parts = [
            ("from cache", cached),
            ("new", max(0, (span.input_tokens or 0) - cached)),
            ("reasoning", reasoning),
            ("answer", max(0, (span.output_tokens or 0) - reasoning)),
        ]
        total = sum(number for _, number in parts) or 1
        found, offset = [], 0.0
        for name, number in parts:
            if number:
                found.append((name, number, 100 * number / total, offset))
                offset += 100 * number / total
        return found


def detail_of(trace: TraceRow, span: Span, slugs: frozenset[str] | None) -> Detail:
    """What is known of a span of a trace."""
    end = span.start + timedelta(seconds=span.duration)
    given = span.attributes
    record = trace_context.record_of(span.counted_event, span.start, end, slugs) if span.counted_event else None
    first = first_token(given)
    rate = (
        rate_of(span.provider, span.model, end.timestamp()) if span.counted_kind == "llm_call" and span.model else None
    )
    band = None
    if rate is not None:
        band = next((one for one in reversed(rate.bands) if (span.input_tokens or 0) >= one.start), rate.bands[0])
    answering = span.duration - (first or 0.0)
    pairs = shown(given)
    return Detail(
        span=span,
        type=type_of(span),
        failed=failed(span),
        offset=(span.start - trace.start).total_seconds(),
        first_token=first,
        speed=span.output_tokens / answering if span.output_tokens and answering > 0 else None,
        record=record,
        why_not=sentence(why) if (why := WAITING if span.waiting else span.not_counted) else "",
        price=band,
        price_source=record.price_source if record else rate.source if rate else "",
        attributes=pairs[:SHOWN_ATTRIBUTES],
        more_attributes=pairs[SHOWN_ATTRIBUTES:],
        resource=shown(span.resource),
        events=[event_of(one, span.start) for one in span.events[:MAX_EVENTS]],
        links=[
            Link(str(one.get("trace_id", "")), str(one.get("span_id", "")), shown(one.get("attributes") or {}))
            for one in span.links[:MAX_EVENTS]
            if is_trace_id(str(one.get("trace_id", "")))
        ],
        logs=logs_of(trace, span, end, slugs),
    )


def logs_of(trace: TraceRow, span: Span, end: datetime, slugs: frozenset[str] | None) -> list[logs.Log]:
    """What was logged within the span, by time."""
    minute = timedelta(minutes=1)
    wanted = logs.LogFilters(slugs, span.start - minute, end + minute, trace_id=trace.trace_id, span_id=span.span_id)
    found, _ = logs.find_logs(wanted, size=MAX_LOGS)
    return found[::-1]


def event_of(given: Mapping[str, Any], start: datetime) -> Event:
    """An event as it is stored."""
    at = datetime.fromtimestamp(float(given.get("time") or 0), UTC)
    return Event(str(given.get("name", "")), at, (at - start).total_seconds(), shown(given.get("attributes") or {}))


def shown(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Attributes as text, by name; what is no text stands as JSON."""
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in sorted(given.items())
    ]
