"""The table of what waits: a row per request of spans, made in the transaction that stores them
and gone in the one that counts them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from django.db import connection, transaction

from core.pg.statements import prepared
from telemetry.deciding import calls
from telemetry.deciding.calls import Calls
from usage.ingest import spool
from usage.ingest.spool import Header


class Waiting(NamedTuple):
    """What waits of a request, and for how many seconds it has."""

    receipt: uuid.UUID
    data: bytes
    seconds: float


_PUT = """
INSERT INTO telemetry_waiting (receipt, since, data) VALUES (%s, clock_timestamp(), %s)
ON CONFLICT (receipt) DO NOTHING RETURNING 1
"""


def put(request: Header, given: Calls) -> None:
    """Let a request's calls wait, within the transaction that stores its spans. A spooled
    request that is stored again waits once."""
    header = msgspec.structs.replace(request, form=calls.FORM, records=len(given.calls))
    prepared(_PUT, [request.receipt, msgspec.json.encode(header) + b"\n" + calls.encode(given)])


_IS_ANY = """
SELECT EXISTS (SELECT FROM telemetry_waiting WHERE since <= clock_timestamp() - make_interval(secs => %s))
"""
_NEXT = """
SELECT receipt, data, extract(epoch FROM clock_timestamp() - since)::float8 FROM telemetry_waiting
WHERE since <= clock_timestamp() - make_interval(secs => %s) AND receipt <> ALL (%s)
ORDER BY since LIMIT 1
"""


def is_any(wait: float) -> bool:
    """Whether anything has waited for `wait` seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_ANY, [wait])
        found = cursor.fetchone()
    return bool(found and found[0])


def find_next(wait: float, without: set[uuid.UUID]) -> Waiting | None:
    """What has waited the longest, of what has waited for `wait` seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [wait, list(without)])
        found = cursor.fetchone()
    return None if found is None else Waiting(found[0], bytes(found[1]), found[2])


def take(receipt: uuid.UUID) -> bool:
    """Take what waits out of the table, within the transaction that counts it; False
    where another process has it or had it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM telemetry_waiting WHERE receipt ="
            " (SELECT receipt FROM telemetry_waiting WHERE receipt = %s FOR UPDATE SKIP LOCKED)",
            [receipt],
        )
        return bool(cursor.rowcount)


def bury(one: Waiting, error: Exception, now: float) -> None:
    """Put what can never be counted among the dead letters. Raises django.db.DatabaseError."""
    with transaction.atomic():
        if take(one.receipt):
            spool.bury(one.data, spool.error_text(error), now)


def since() -> datetime | None:
    """Since when what waits the longest has waited; None where nothing waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM min(since))::float8 FROM telemetry_waiting")
        [found] = cursor.fetchone()
    return None if found is None else datetime.fromtimestamp(found, UTC)
