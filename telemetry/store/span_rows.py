"""Spans as the array parameters of the statement that stores them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from psycopg.types.numeric import Int8

from core.pg.arrays import PostgresArray, float8, int8, texts, uuids
from core.pg.text import REPLACEMENT
from telemetry.conventions.meaning import Meaning
from telemetry.counting import reasons
from telemetry.otlp.signals import Attributes, RawSpan, Source
from usage.records.records import AnyRecord

NO_EVENT = bytes(16)
COUNTED_AS = {
    "llm": "llm_call",
    "tool": "tool_call",
    "agent": "execution",
    "gateway": "gateway_request",
    "server": "gateway_request",
}
NUMBERS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")
# Texts that many spans share: they are sent once per combination.
SHARED = (
    "service",
    "scope",
    "kind",
    "operation",
    "provider",
    "model",
    "agent",
    "tool",
    "team",
    "component",
    "error_type",
    "counted_kind",
    "not_counted",
)


class SpanRow(msgspec.Struct, gc=False):
    """A span to be stored. The ids are those of Postgres's columns; `counted_kind` is the usage it becomes as far as
    its request tells, else `not_counted` is the reason. `expected`: the spans of its request let it count;
    `by_metrics`: its service's metrics had."""

    raw: RawSpan
    meaning: Meaning
    span_id: int
    parent_id: int | None
    event_id: bytes
    record: AnyRecord | None
    content: Attributes
    dropped: int
    expected: bool = False
    by_metrics: bool = False
    counted_kind: str = ""
    not_counted: str = ""

    def settle(self, why_not: str) -> None:
        """Say that it counts, or why not; what was refused stays so."""
        if self.not_counted.startswith(reasons.REFUSED):
            return
        self.not_counted = why_not
        self.counted_kind = "" if why_not else COUNTED_AS[self.meaning.kind]

    def refuse(self, why: str) -> None:
        """Say that its usage was refused."""
        self.counted_kind, self.not_counted = "", why

    @property
    def start(self) -> float:
        """When it began, in epoch seconds."""
        return self.raw.start / 1e9

    @property
    def duration(self) -> float:
        """Seconds; 0 where a clock went back."""
        return max(0, self.raw.end - self.raw.start) / 1e9

    @property
    def shared(self) -> tuple[str, ...]:
        """The values of SHARED."""
        meaning = self.meaning
        return (
            meaning.service,
            self.raw.source.scope,
            meaning.kind,
            meaning.operation,
            meaning.provider,
            meaning.model,
            meaning.agent,
            meaning.tool,
            meaning.team,
            meaning.component,
            meaning.error,
            self.counted_kind,
            self.not_counted,
        )


def json_text(value: Any) -> str:
    """JSON that Postgres can keep, "" for nothing; NUL, which it cannot, becomes U+FFFD."""
    if not value:
        return ""
    text = msgspec.json.encode(value).decode(errors="replace")
    return text.replace("\\u0000", REPLACEMENT) if "\\u0000" in text else text


def storable(values: list[str]) -> list[str]:
    """Texts that Postgres can keep."""
    return [value.replace("\x00", REPLACEMENT) for value in values] if "\x00" in "".join(values) else values


def events_json(span: RawSpan) -> str:
    """A span's events as JSON; times in epoch seconds."""
    return json_text([{"name": one.name, "time": one.time / 1e9, "attributes": one.attributes} for one in span.events])


def links_json(span: RawSpan) -> str:
    """A span's links as JSON; ids in hex."""
    return json_text(
        [
            {"trace_id": one.trace_id.hex(), "span_id": one.span_id.hex(), "attributes": one.attributes}
            for one in span.links
        ]
    )


def arrays_of(rows: Sequence[SpanRow], workspace_id: int, receipt: uuid.UUID) -> dict[str, Any]:
    """The rows as parameters of INSERT."""
    combinations: dict[tuple[str, ...], int] = {}
    places = [combinations.setdefault(row.shared, len(combinations) + 1) for row in rows]
    sources, resources = resources_of([row.raw.source for row in rows])
    raws = [row.raw for row in rows]
    return {
        "workspace": Int8(workspace_id),
        "receipt": receipt,
        "traces": uuids(b"".join([raw.trace_id for raw in raws])),
        "spans": int8([row.span_id for row in rows]),
        "parents": int8([row.parent_id or 0 for row in rows]),
        "starts": float8([raw.start / 1e9 for raw in raws]),
        "durations": float8([row.duration for row in rows]),
        "span_kinds": int8([raw.kind for raw in raws]),
        "statuses": int8([raw.status for raw in raws]),
        "counted_events": uuids(b"".join([row.event_id if row.counted_kind else NO_EVENT for row in rows])),
        "dropped": int8([row.dropped for row in rows]),
        "names": texts(storable([raw.name for raw in raws])),
        "messages": texts(storable([raw.message for raw in raws])),
        "sessions": texts(storable([row.meaning.session for row in rows])),
        "users": texts(storable([row.meaning.user for row in rows])),
        "attributes": texts([json_text(raw.attributes) for raw in raws]),
        "events": texts([events_json(raw) if raw.events else "" for raw in raws]),
        "links": texts([links_json(raw) if raw.links else "" for raw in raws]),
        "contents": texts([json_text(row.content) for row in rows]),
        "places": int8(places),
        "resource_places": int8(sources),
        "resources": texts(resources),
        **{name: numbers([getattr(row.meaning, name) for row in rows]) for name in NUMBERS},
        **{
            f"shared_{name}": texts(storable(list(column)))
            for name, column in zip(SHARED, zip(*combinations, strict=True), strict=True)
        },
    }


def resources_of(sources: Sequence[Source]) -> tuple[list[int], list[str]]:
    """The place (from 1) of each source's resource among the distinct ones, and these as JSON."""
    by_text: dict[str, int] = {}
    by_source: dict[int, int] = {}
    for source in sources:
        if id(source) not in by_source:
            by_source[id(source)] = by_text.setdefault(json_text(source.resource), len(by_text) + 1)
    return [by_source[id(source)] for source in sources], [*by_text]


def numbers(values: Sequence[float | None]) -> PostgresArray:
    """Numbers, NaN for absent ones; none at all where all are absent."""
    if values.count(None) == len(values):
        return float8([])
    return float8(np.array(values, dtype=np.float64))


_SHARED = ", ".join(f"d.{name}" for name in SHARED)
_GIVEN = ", ".join(f"%(shared_{name})s" for name in SHARED)
_NUMBERS = ", ".join(f"nullif((%({name})s)[n], 'NaN'){'' if name == 'cost_usd' else '::bigint'}" for name in NUMBERS)
# Elements of one size are found at once where they are; texts are unnested.
INSERT = f"""
WITH stored AS (
    INSERT INTO telemetry_span (
        workspace_id, trace_id, span_id, parent_span_id, start, duration, span_kind, status, name, status_message,
        session, user_id, {", ".join(SHARED)}, {", ".join(NUMBERS)}, counted_event, attributes, resource, events,
        links, dropped, content, receipt
    )
    SELECT %(workspace)s, (%(traces)s)[n], (%(spans)s)[n], nullif((%(parents)s)[n], 0), to_timestamp((%(starts)s)[n]),
        (%(durations)s)[n], (%(span_kinds)s)[n], (%(statuses)s)[n], r.name, r.message, r.session, r.user_id,
        {_SHARED}, {_NUMBERS},
        nullif((%(counted_events)s)[n], '{uuid.UUID(int=0)}'), nullif(r.attributes, '')::jsonb, e.resource,
        nullif(r.events, '')::jsonb, nullif(r.links, '')::jsonb, (%(dropped)s)[n], nullif(r.content, '')::jsonb,
        %(receipt)s
    FROM unnest(
        %(names)s, %(messages)s, %(sessions)s, %(users)s, %(attributes)s, %(events)s, %(links)s, %(contents)s,
        %(places)s, %(resource_places)s
    ) WITH ORDINALITY AS r (
        name, message, session, user_id, attributes, events, links, content, place, resource_place, n
    )
    JOIN unnest({_GIVEN}) WITH ORDINALITY AS d ({", ".join(SHARED)}, place) ON d.place = r.place
    JOIN (
        SELECT nullif(given, '')::jsonb AS resource, place
        FROM unnest(%(resources)s) WITH ORDINALITY AS g (given, place) OFFSET 0
    ) AS e ON e.place = r.resource_place
    ON CONFLICT DO NOTHING
    RETURNING trace_id, span_id
)
SELECT count(*), CASE WHEN count(*) < cardinality(%(spans)s) THEN array_agg(trace_id) END,
    CASE WHEN count(*) < cardinality(%(spans)s) THEN array_agg(span_id) END
FROM stored
"""  # noqa: S608 - only names of our own; values are parameters
