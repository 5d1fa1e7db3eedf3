"""1 ingest: the way of a request's body to a receipt.

The body (see usage.ingest.body) is read, prepared and stored. Where storing fails, the batch is made durable in the
spool and the answer says so; only when neither is possible is it refused, and the client keeps it.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction

from core.accounts.keys import Caller
from core.audit.record import record
from core.net.tracing import span
from core.pg.breaker import DOUBT, Away, breaker
from core.pg.partitions import forget_dropped
from usage.ingest import forms, node, receipts, refused, spool
from usage.ingest.body import TooLarge
from usage.models import DeadLetter
from usage.records.columns import Bounds, Columns, prepare
from usage.records.pricing import Pricer
from usage.records.records import Decoded, Rejection, decode, raw_records
from usage.store import missing
from usage.store.writer import Batch, Stored, store

log = logging.getLogger(__name__)
# Postgres's codes for a statement that took too long, and for a lock that was not had in time.
TIMEOUTS = ("57014", "55P03")


@dataclass(frozen=True)
class BatchReceipt:
    """A receipt: what became of a batch. `spooled` says that it is durable on disk and not yet in Postgres."""

    receipt: uuid.UUID
    accepted: int
    duplicates: int
    rejected: list[Rejection]
    spooled: bool = False
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The receipt as the HTTP interface has it."""
        rejected = [{"index": one.index, "field": one.field, "error": one.error} for one in self.rejected]
        answer: dict[str, object] = {
            "receipt": str(self.receipt),
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": rejected,
        }
        if self.spooled:
            answer["spooled"] = True
        if self.notes:
            answer["notes"] = [*self.notes]
        return answer


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


def ingest(body: bytes, caller: Caller, received_at: float) -> BatchReceipt:
    """Store a body's records for a caller, or spool them.

    Raises Unreadable, TooLarge, or spool.SpoolFull where nothing could be made durable.
    """
    decoded = decode(body)
    count = len(decoded.records) + len(decoded.rejected)
    if count > settings.PORTAL.batch_max_records:
        raise TooLarge(f"more than {settings.PORTAL.batch_max_records} records in one request; send smaller batches")
    before = refused.take(body, caller.workspace_id)
    header = spool.Header(
        before or uuid.uuid4(),
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
        with span("ingest", workspace=caller.workspace, records=count):
            breaker.check()
            columns, rejected = rows_of(decoded, header, Pricer())
            stored = store(batch_of(header), columns, rejected)
            if before is not None:
                missing.take_back(before)
    except Exception as error:  # whatever it was, the records are accepted: they must not be lost to a fault of ours
        failure = failure_of(error, time.monotonic() - started)
        log_failure(header, error, "spooled")
        node.count(failure[0])
        try:
            return spooled(decoded, header, body, failure, reachable=not spool.is_away(error))
        except spool.SpoolFull as full:
            log_failure(header, full, "answered 503")
            node.count(node.REFUSED)
            refused.keep(body, header, events_of(header, body))
            raise
    return BatchReceipt(header.receipt, stored.accepted, stored.duplicates, rejected, notes=stored.notes)


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
    late = seconds >= DOUBT and isinstance(error.__cause__, Away)
    late = late or (isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", "") in TIMEOUTS)
    return ("timeout" if late else "db_error", seconds)


def log_failure(header: spool.Header, error: Exception, became: str) -> None:
    """The line by which an operator finds a batch that was not stored at once."""
    log.error(
        "Failed to persist usage: receipt=%s key=%d workspace=%s records=%d, %s: %s",
        header.receipt,
        header.key_id,
        header.workspace,
        header.records,
        became,
        spool.error_text(error),
    )


def spooled(
    decoded: Decoded, header: spool.Header, body: bytes, failure: tuple[str, float], *, reachable: bool
) -> BatchReceipt:
    """Make a batch durable on disk; the answer counts what is good in it. Raises spool.SpoolFull.

    Where Postgres is `reachable` its receipt is written at once, else as soon as the spool is drained.
    """
    columns, rejected = rows_of(decoded, header, None)
    header = msgspec.structs.replace(header, failures=(failure,), rejected=len(rejected))
    spool.put(header, body)
    if reachable:
        with suppress(DatabaseError):
            receipts.keep([header], receipts.SPOOLED)
    return BatchReceipt(header.receipt, len(columns) - columns.ghosts, 0, rejected, spooled=True)


def store_records(header: spool.Header, body: bytes) -> Stored:
    """Store the records of a spooled body. Raises what storing raises."""
    columns, rejected = rows_of(decode(body), header, Pricer())
    return store(batch_of(header), columns, rejected)


def events_of(header: spool.Header, body: bytes) -> missing.Events:
    """The usage events of a body of records."""
    return missing.failures_of(rows_of(decode(body), header, None)[0])


forms.register(forms.Form(spool.RECORDS, store_records, raw_records, events_of))


def restore(data: bytes) -> Stored:
    """Store a spooled batch. Raises what storing raises."""
    header, body = spool.decode(data)
    form = forms.of(header.form)
    try:
        stored = form.store(header, body)
    except IntegrityError as error:
        if not forget_dropped(error):
            raise
        stored = form.store(header, body)
    missing.take_back(header.receipt)
    return stored


def count_missing(data: bytes, *, lost: bool) -> None:
    """Count a spooled batch as usage that is missing; what cannot be read counts nothing. Raises
    django.db.DatabaseError."""
    try:
        header, body = spool.decode(data)
        events = forms.of(header.form).events(header, body)
    except (msgspec.MsgspecError, ValueError, LookupError):
        return
    missing.count(header.receipt, events, time.time(), lost)


def drain(limit: int = 1000) -> int:
    """Store what is spooled on this machine, in order of arrival, up to `limit` files; how many batches left the spool.

    Stops where Postgres is away. A batch that fails for another reason goes to the dead letters, and the next ones go
    on.
    """
    gone = 0
    with spool.only_one() as mine:
        if not mine:
            return 0
        try:
            for path in spool.files()[:limit]:
                gone += drain_file(path)
        except (OperationalError, InterfaceError):
            spool.drop_connection()
        count_overdue(time.time())
    return gone


def drain_file(path: Path) -> int:
    """Store the batches of a file; how many. Raises OperationalError or InterfaceError where Postgres is away: then the
    file stays, and those of its batches that were stored are known the next time."""
    batches = spool.batches(path)
    try:
        receipts.keep(spool.headers(batches), receipts.SPOOLED)
    except DatabaseError as error:
        if spool.is_away(error):
            raise
        log.error("the receipts of spooled batches could not be written: %s", spool.error_text(error))
    for data in batches:
        try:
            restore(data)
        except Exception as error:
            if spool.is_away(error):
                raise
            log.error("Failed to persist usage: %s, now a dead letter: %s", path.name, spool.error_text(error))
            with transaction.atomic():
                receipts.keep([spool.bury(data, spool.error_text(error), time.time())], receipts.DEAD)
            count_missing(data, lost=True)
    path.unlink()
    return len(batches)


def count_overdue(now: float, at_most: int = 200) -> None:
    """Count the batches as missing that have waited in the spool for longer than the setting, and the requests that
    were answered 503; where Postgres is away, nothing can count."""
    try:
        refused.count(now)
        overdue = [path for path in spool.files() if now - spool.arrived(path) > settings.PORTAL.spool_overdue]
        batches = [data for path in overdue[:at_most] for data in spool.batches(path)]
        by_receipt = {header.receipt: data for data in batches for header in spool.headers([data])}
        for receipt in missing.uncounted(by_receipt):
            count_missing(by_receipt[receipt], lost=False)
    except (OperationalError, InterfaceError):
        spool.drop_connection()


def replay(letter: DeadLetter, now: datetime) -> Stored:
    """Try a dead letter again; it leaves the list where it could be stored. Raises DatabaseError or ValueError with the
    reason."""
    try:
        stored = restore(bytes(letter.body))
    except Exception as error:
        DeadLetter.objects.filter(pk=letter.pk).update(attempts=letter.attempts + 1, error=spool.error_text(error))
        raise
    with transaction.atomic():
        DeadLetter.objects.filter(pk=letter.pk).update(replayed_at=now)
        record("replayed", letter, after={"accepted": stored.accepted, "duplicates": stored.duplicates})
    return stored


def contents(letter: DeadLetter, most: int = 20) -> list[str]:
    """The first records of a dead letter, for a person to look at."""
    header, body = spool.decode(bytes(letter.body))
    return [raw.decode(errors="replace") for raw in forms.of(header.form).parts(body)[:most]]
