"""4 store, while Postgres is away: accepted batches lie in files, each synced to disk before its answer, until a task
stores them.

A file is a header line of JSON and the body as it was received, unpacked. Its name sorts by arrival and tells the
number of its records. Storing a file twice is harmless (event ids), so a drain that dies between commit and removal
loses and doubles nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from usage.models import DeadLetter

log = logging.getLogger(__name__)
SUFFIX = ".batch"
RECORDS = "records"


class SpoolFull(Exception):
    """Nothing more can be made durable here."""


class Header(msgspec.Struct, frozen=True):
    """What is known of a spooled batch. `failures` are (error type, seconds) of the attempts to store it before it was
    spooled; `form` is what the body is (see usage.ingest.forms), `rejected` how many of its records were refused."""

    receipt: uuid.UUID
    key_id: int
    workspace_id: int
    workspace: str
    backfill: bool
    received_at: float
    records: int
    body_bytes: int
    failures: tuple[tuple[str, float], ...] = ()
    form: str = RECORDS
    rejected: int = 0


def folder() -> Path:
    """The spool, made where it is missing; readable by its owner only."""
    path = settings.PORTAL.spool
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def files() -> list[Path]:
    """The batches that wait, in order of arrival."""
    return sorted(path for path in folder().iterdir() if path.suffix == SUFFIX)


def arrived(path: Path) -> float:
    """When a waiting batch came, in Unix seconds."""
    return int(path.name.split("-")[0]) / 1e9


def receipt_of(path: Path) -> uuid.UUID:
    """The receipt of a waiting batch."""
    return uuid.UUID(hex=path.stem.split("-")[2])


def waiting() -> int:
    """Accepted records that are not yet in Postgres."""
    return sum(int(path.name.split("-")[1]) for path in files())


def used_bytes() -> int:
    """How much the waiting batches take."""
    return sum(path.stat().st_size for path in files())


class Room:
    """How much the spool holds, looked at once a second: to look at each file for each batch takes longer than to write
    it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._used = 0
        self._counted_at = 0.0

    def take(self, size: int) -> None:
        """Count a batch that is about to be written. Raises SpoolFull where it does not fit."""
        with self._lock:
            now = time.monotonic()
            if folder() != self._folder or now - self._counted_at > 1:
                self._folder, self._used, self._counted_at = folder(), used_bytes(), now
            if self._used + size > settings.PORTAL.spool_max_bytes:
                raise SpoolFull("the spool has reached its bound")
            self._used += size


room = Room()


def put(header: Header, body: bytes) -> None:
    """Make a batch durable on disk. Raises SpoolFull."""
    data = msgspec.json.encode(header) + b"\n" + body
    name = f"{time.time_ns():020d}-{header.records}-{header.receipt.hex}{SUFFIX}"
    try:
        room.take(len(data))
        write_synced(folder() / name, data)
    except OSError as error:
        raise SpoolFull(f"the spool cannot be written: {error.strerror}") from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a file that is either whole and on disk, or not there."""
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def decode(data: bytes) -> tuple[Header, bytes]:
    """The header and the body of a spooled batch."""
    line, _, body = data.partition(b"\n")
    return msgspec.json.decode(line, type=Header), body


@contextmanager
def only_one() -> Iterator[bool]:
    """Whether this process is the one that drains this folder now."""
    with (folder() / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def headers(paths: Sequence[Path]) -> list[Header]:
    """The headers of some batches, without those that cannot be read."""
    found = []
    for path in paths:
        with path.open("rb") as file, suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(file.readline(), type=Header))
    return found


def bury(data: bytes, error: str, now: float) -> Header:
    """Put a batch that cannot be stored among the dead letters; its header. Raises django.db.DatabaseError."""
    try:
        header, _ = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as unreadable:
        header = Header(uuid.uuid4(), 0, 0, "", False, now, 0, len(data))
        error = f"{error}\n{unreadable}"
    DeadLetter.objects.update_or_create(
        receipt=header.receipt,
        defaults={
            "key_id": header.key_id or None,
            "workspace_id": header.workspace_id or None,
            "received_at": datetime.fromtimestamp(header.received_at, UTC),
            "records": header.records,
            "body": data,
            "error": error[-4000:],
        },
    )
    return header


def error_text(error: Exception) -> str:
    """What an operator needs to see of an error: its kind, its words and where it arose."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" (at {Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    message = " ".join(str(error).partition("\nCONTEXT:")[0].split())
    return f"{type(error).__name__}: {message}{where}"


def is_away(error: Exception) -> bool:
    """Whether an error says that Postgres is away or busy, so that the same batch may be stored later."""
    return isinstance(error, (OperationalError, InterfaceError))


def drop_connection() -> None:
    """Close a connection that failed, so that the next use makes a new one."""
    try:
        connection.close()
    except DatabaseError:
        log.debug("closing a failed connection failed")
