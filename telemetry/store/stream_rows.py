"""The last known point of each stream of metrics, and the usage that its growth is, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
from django.db import OperationalError, connection, transaction

from telemetry.counting.records import digest
from telemetry.counting.streams import Reading, Stream
from telemetry.store import service_rows
from usage.records.columns import Columns
from usage.records.records import Rejection
from usage.store import writer
from usage.store.writer import Batch, Stored

MAX_TRIES = 20
Known = dict[Stream, Reading]
# The usage of what grew since what is known, but for services that are counted by spans; and up to when each service is
# counted then.
Count = Callable[[Known, set[str]], tuple[Columns, list[Rejection], dict[str, service_rows.Until]]]


def store(batch: Batch, read: Mapping[Stream, Reading], count: Count) -> Stored:
    """Store the usage that `count` makes of what is known, and the streams' new points. Raises
    django.db.DatabaseError."""
    received_at = datetime.fromtimestamp(batch.received_at, UTC)
    digests = {digest_of(stream): stream for stream in read}
    services = {stream.calls.service for stream in read}
    known, by_spans = find(digests, batch.workspace_id), service_state(services, batch.workspace_id, received_at)
    for _ in range(MAX_TRIES):
        # What usage points at is made before the transaction, from what is known before it; it seldom changes
        # meanwhile.
        columns, rejected, until = count(known, by_spans)
        interned = writer.ready(batch, columns)
        with transaction.atomic():
            by_spans_now = service_rows.take_for_metrics(batch.workspace_id, services, received_at)
            known_now = find(digests, batch.workspace_id)
            if (known_now, by_spans_now) == (known, by_spans):
                stored = writer.put(batch, columns, rejected, interned)
                keep(digests, read, known, batch)
                service_rows.counted_by_metrics(batch.workspace_id, until)
                return stored
        known, by_spans = known_now, by_spans_now
    raise OperationalError(f"the same streams came {MAX_TRIES} times while their growth was counted")


def service_state(services: set[str], workspace_id: int, at: datetime) -> set[str]:
    """The services that are counted by spans."""
    with transaction.atomic():
        return service_rows.take_for_metrics(workspace_id, services, at)


def digest_of(stream: Stream) -> bytes:
    """16 bytes that stand for a stream."""
    return digest(b"stream", msgspec.json.encode(stream))


def find(digests: Mapping[bytes, Stream], workspace_id: int) -> Known:
    """The last known points of streams."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT digest, cumulative, start, time, count, total FROM telemetry_stream WHERE workspace_id = %s AND"
            " digest = ANY (%s::uuid[])",
            [workspace_id, [one.hex() for one in digests]],
        )
        return {digests[key.bytes]: Reading(*values) for key, *values in cursor.fetchall()}


def keep(digests: Mapping[bytes, Stream], read: Mapping[Stream, Reading], known: Known, batch: Batch) -> None:
    """Keep the streams' new points; an older one than is known is no news. A delta stream has no sum to keep."""
    rows = [
        (one.hex(), point.cumulative, point.start, point.time, point.count, point.total)
        for one, stream in sorted(digests.items())
        if (point := read[stream]).time > (known[stream].time if stream in known else -1)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_stream (workspace_id, digest, cumulative, start, time, count, total, seen)"
            " SELECT %s, digest, cumulative, start, time, count, total, to_timestamp(%s)"
            " FROM unnest(%s::uuid[], %s::bool[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[])"
            " AS g (digest, cumulative, start, time, count, total)"
            " ON CONFLICT (workspace_id, digest) DO UPDATE SET cumulative = excluded.cumulative, start ="
            " excluded.start,"
            " time = excluded.time, count = excluded.count, total = excluded.total, seen = excluded.seen",
            [
                batch.workspace_id,
                batch.received_at,
                *([list(column) for column in zip(*rows, strict=True)] or [[]] * 6),
            ],
        )
