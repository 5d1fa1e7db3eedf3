"""Logs in: from what arrived to what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from django.conf import settings

from telemetry.conventions import content
from telemetry.ingest.kept import bounded, kept
from telemetry.ingest.refused import Refused
from telemetry.otlp.signals import RawLog, text_of
from telemetry.store import log_writer, service_rows
from telemetry.store.log_writer import LogRow
from usage.ingest.pipeline import bounds_of
from usage.ingest.spool import Header
from usage.store.writer import Stored

LONGEST_BODY = 65_536  # characters: Postgres indexes the words of a text up to 1 MB
# The events of the conventions for GenAI say in their body what people and models wrote.
CONTENT_EVENTS = "gen_ai."


def store(raws: Sequence[RawLog], header: Header) -> tuple[Stored, Refused]:
    """Store log records: how many are new, how many were there. Raises what storing raises; then nothing of them is
    stored."""
    found = Refused()
    rows = [row_of(raw, at) for raw, at in within_bounds(raws, header, found)]
    if not rows:
        return Stored(0, 0), found
    new = log_writer.store(rows, header.workspace_id)
    seen = datetime.fromtimestamp(header.received_at, UTC)
    service_rows.note_logs(header.workspace_id, {row.raw.source.service for row in rows}, seen)
    return Stored(new, len(rows) - new), found


def refused(raws: Sequence[RawLog], header: Header) -> Refused:
    """Which of the records would be refused."""
    found = Refused()
    list(within_bounds(raws, header, found))
    return found


def within_bounds(raws: Sequence[RawLog], header: Header, found: Refused) -> Iterator[tuple[RawLog, float]]:
    """The records within the bounds of the clock, and when each was written (epoch seconds): its own time, else when it
    was seen."""
    bounds = bounds_of(header.backfill, header.received_at)
    kept_since = header.received_at - settings.PORTAL.retention_logs_days * 86_400
    for raw in raws:
        at = (raw.time or raw.observed) / 1e9 or header.received_at
        if at > bounds.newest:
            found.add("a log record ahead of the server's clock by more than is allowed")
        elif at < max(bounds.oldest, kept_since):
            found.add("a log record older than this key may send")
        else:
            yield raw, at


def row_of(raw: RawLog, at: float) -> LogRow:
    """A record as it is stored. What is content (the body of GenAI's events, too) goes apart."""
    digest = blake2b(msgspec.msgpack.encode(raw), digest_size=16).digest()
    attributes, found = content.split(raw.attributes)
    event_name = raw.event_name or first_of(raw, ("event.name", "event_name"))
    body = body_text(raw.body)
    if body and event_name.startswith(CONTENT_EVENTS):
        found, body = {**found, "body": raw.body}, event_name
    return LogRow(
        raw,
        at,
        digest,
        body or event_name,
        event_name,
        text_of(attributes.get("exception.type")),
        raw.trace_id if len(raw.trace_id) == 16 else b"",
        int.from_bytes(raw.span_id, "big", signed=True) if len(raw.span_id) == 8 else 0,
        bounded(attributes),
        kept(found),
        len(found),
    )


def first_of(raw: RawLog, names: Sequence[str]) -> str:
    """The first of some attributes that has a text."""
    return next((text for name in names if (text := text_of(raw.attributes.get(name)))), "")


def body_text(body: Any) -> str:
    """A body as text; a mapping or list as JSON."""
    if body is None:
        return ""
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode(errors="replace")
    return text if len(text) <= LONGEST_BODY else text[:LONGEST_BODY] + "…"


def without_content(raws: Sequence[RawLog]) -> Sequence[RawLog]:
    """The records without what people and models wrote."""
    for raw in raws:
        event_name = raw.event_name or first_of(raw, ("event.name", "event_name"))
        raw.attributes, _ = content.split(raw.attributes)
        if event_name.startswith(CONTENT_EVENTS):
            raw.body = None
    return raws
