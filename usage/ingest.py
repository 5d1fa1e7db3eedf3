"""1 ingest: the way of a request's body from its bytes to a receipt.

The body is bounded and unpacked, read, prepared and stored. Where storing fails, the batch is made durable in the spool and the
answer says so; only when neither is possible is it refused, and the client keeps it.
"""

from __future__ import annotations

import logging
import time
import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
from django.conf import settings
from django.db import OperationalError

from usage import spool
from usage.keys import Caller
from usage.models import DeadLetter
from usage.prepare import Bounds, Columns, prepare
from usage.price import Pricer
from usage.records import Decoded, Rejection, decode, raw_records
from usage.store import Batch, Stored, store

log = logging.getLogger(__name__)
# Postgres's codes for a statement that took too long, and for a lock that was not had in time.
TIMEOUTS = ("57014", "55P03")


class Readable(Protocol):
    """What a request's body is read from."""

    def read(self, size: int, /) -> bytes: ...


class TooLarge(ValueError):
    """The body, unpacked, or the number of its records is past its bound."""


@dataclass(frozen=True)
class Answer:
    """A receipt: what became of a batch. `spooled` says that it is durable on disk and not yet in Postgres."""

    receipt: uuid.UUID
    accepted: int
    duplicates: int
    rejected: list[Rejection]
    spooled: bool = False

    def as_json(self) -> dict[str, object]:
        """The receipt as the HTTP interface has it."""
        rejected = [{"index": one.index, "field": one.field, "error": one.error} for one in self.rejected]
        answer = {
            "receipt": str(self.receipt),
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": rejected,
        }
        return {**answer, "spooled": True} if self.spooled else answer


def read_body(stream: Readable, length: int | None, encoding: str) -> bytes:
    """A request's body, unpacked. Raises TooLarge (without unpacking further), or ValueError for what is no gzip."""
    config = settings.PORTAL
    if length is not None and length > config.body_max_bytes:
        raise TooLarge(f"the body is larger than {config.body_max_bytes} bytes")
    body = read_up_to(stream, config.body_max_bytes)
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() != "gzip":
        raise ValueError("the Content-Encoding may be gzip or identity")
    return gunzip(body, config.body_max_unpacked_bytes)


def read_up_to(stream: Readable, most: int) -> bytes:
    """All of a stream of unknown length. Raises TooLarge past `most` bytes."""
    parts: list[bytes] = []
    left = most + 1
    while left > 0 and (part := stream.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise TooLarge(f"the body is larger than {most} bytes")
    return b"".join(parts)


def gunzip(data: bytes, most: int) -> bytes:
    """Unpacked gzip of one or more members. Raises TooLarge as soon as more than `most` bytes have come out."""
    parts: list[bytes] = []
    left = most
    try:
        while data:
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(data, left + 1)
            left -= len(part)
            if left < 0:
                raise TooLarge(f"the body unpacks to more than {most} bytes")
            if not member.eof:
                raise ValueError("the gzip body is cut off")
            parts.append(part)
            data = member.unused_data
    except zlib.error as error:
        raise ValueError("the body is not gzip") from error
    return b"".join(parts)


def bounds_of(backfill: bool, received_at: float) -> Bounds:
    """The bounds of a caller's records: a key with the scope `backfill` may send what is as old as the retention.

    None may send what is older: the raw rows by which an event is known again are gone.
    """
    config = settings.PORTAL
    kept = config.retention_records_days * 86_400
    age = kept if backfill else min(kept, config.record_max_age)
    return Bounds(
        config.label_max_length, config.attributes_max_bytes, received_at - age, received_at + config.record_max_ahead
    )


def ingest(body: bytes, caller: Caller, received_at: float) -> Answer:
    """Store a body's records for a caller, or spool them.

    Raises Unreadable, TooLarge, or spool.SpoolFull where nothing could be made durable.
    """
    decoded = decode(body)
    count = len(decoded.records) + len(decoded.rejected)
    if count > settings.PORTAL.batch_max_records:
        raise TooLarge(f"more than {settings.PORTAL.batch_max_records} records in one request; send smaller batches")
    header = spool.Header(
        uuid.uuid4(),
        caller.key_id,
        caller.workspace_id,
        caller.workspace,
        "backfill" in caller.scopes,
        received_at,
        count,
        len(body),
    )
    started = time.monotonic()
    try:
        columns, rejected = rows_of(decoded, header, Pricer())
        stored = store(batch_of(header), columns, rejected)
    except Exception as error:  # whatever it was, the records are accepted: they must not be lost to a fault of ours
        log.warning("storing failed, spooling %d records: %s", count, spool.error_text(error))
        return spooled(decoded, header, body, failure_of(error, time.monotonic() - started))
    return Answer(header.receipt, stored.accepted, stored.duplicates, rejected)


def rows_of(decoded: Decoded, header: spool.Header, pricer: Pricer | None) -> tuple[Columns, list[Rejection]]:
    """A batch's rows, and its refused records."""
    bounds = bounds_of(header.backfill, header.received_at)
    return prepare(decoded, header.receipt, header.workspace, header.received_at, bounds, pricer)


def batch_of(header: spool.Header) -> Batch:
    """What storing needs to know of a batch."""
    return Batch(
        header.receipt, header.key_id, header.workspace_id, header.received_at, header.body_bytes, header.failures
    )


def failure_of(error: Exception, seconds: float) -> tuple[str, float]:
    """An attempt that failed, as llm_usage_persist_* count it."""
    spool.drop_connection()
    late = isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", "") in TIMEOUTS
    return ("timeout" if late else "db_error", seconds)


def spooled(decoded: Decoded, header: spool.Header, body: bytes, failure: tuple[str, float]) -> Answer:
    """Make a batch durable on disk; the answer counts what is good in it. Raises spool.SpoolFull."""
    columns, rejected = rows_of(decoded, header, None)
    spool.put(msgspec.structs.replace(header, failures=(failure,)), body)
    return Answer(header.receipt, len(columns) - columns.ghosts, 0, rejected, spooled=True)


def restore(data: bytes) -> Stored:
    """Store a spooled batch. Raises what storing raises."""
    header, body = spool.read(data)
    columns, rejected = rows_of(decode(body), header, Pricer())
    return store(batch_of(header), columns, rejected)


def drain(limit: int = 1000) -> int:
    """Store what is spooled on this machine, in order of arrival, up to `limit` batches; how many left the spool.

    Stops where Postgres is away. A batch that fails for another reason goes to the dead letters, and the next ones go on.
    """
    gone = 0
    with spool.only_one() as mine:
        for path in spool.files()[:limit] if mine else []:
            data = path.read_bytes()
            try:
                restore(data)
            except Exception as error:
                if spool.is_away(error):
                    spool.drop_connection()
                    break
                log.warning("%s cannot be stored: %s", path.name, spool.error_text(error))
                spool.bury(data, spool.error_text(error), time.time())
            path.unlink()
            gone += 1
    return gone


def replay(letter: DeadLetter, now: datetime) -> Stored:
    """Try a dead letter again; it leaves the list where it could be stored. Raises DatabaseError or ValueError with the reason."""
    try:
        stored = restore(bytes(letter.body))
    except Exception as error:
        DeadLetter.objects.filter(pk=letter.pk).update(attempts=letter.attempts + 1, error=spool.error_text(error))
        raise
    DeadLetter.objects.filter(pk=letter.pk).update(replayed_at=now)
    return stored


def contents(letter: DeadLetter, most: int = 20) -> list[str]:
    """The first records of a dead letter, for a person to look at."""
    _, body = spool.read(bytes(letter.body))
    return [raw.decode(errors="replace") for raw in raw_records(body)[:most]]
