"""4 store, while Postgres is away: accepted batches lie in files, each synced to disk before its answer, until a task
stores them.

A batch is a header line of JSON and the body as it was received, unpacked. A file holds the batches that were written
together, after a line with their lengths; its name sorts by arrival and tells the number of its records. Storing a file
twice is harmless (event ids), so a drain that dies between commit and removal loses and doubles nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from core.pg.breaker import Away
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
    """The files of batches that wait, in order of arrival."""
    return sorted(path for path in folder().iterdir() if path.suffix == SUFFIX)


def arrived(path: Path) -> float:
    """When the batches of a file came, in Unix seconds."""
    return int(path.name.split("-")[0]) / 1e9


def waiting() -> int:
    """Accepted records that are not yet in Postgres."""
    return sum(int(path.name.split("-")[1]) for path in files())


def used_bytes() -> int:
    """How much the waiting batches take."""
    return sum(path.stat().st_size for path in files())


class Room:
    """How much the spool holds. To look at each file for each batch takes longer than to write it, so it is looked at
    once a second, and less often where there are so many files that even this would take a fiftieth of the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._used = 0
        self._next_look = 0.0

    def take(self, size: int) -> None:
        """Count a batch that is about to be written. Raises SpoolFull where it does not fit."""
        with self._lock:
            began = time.monotonic()
            if folder() != self._folder or began > self._next_look:
                self._folder, self._used = folder(), used_bytes()
                self._next_look = began + max(1.0, 50 * (time.monotonic() - began))
            if self._used + size > settings.PORTAL.spool_max_bytes:
                raise SpoolFull("the spool has reached its bound")
            self._used += size


@dataclass
class Entry:
    """A batch that is to be made durable, and once that is done, why it could not be."""

    header: Header
    data: bytes
    is_done: bool = False
    error: SpoolFull | None = field(default_factory=lambda: SpoolFull("the spool could not be written"))


class Together:
    """Makes batches durable, those of all threads that wait at one time in one file: a sync takes as long for many as
    for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: list[Entry] = []
        self._is_writing = False

    def put(self, entry: Entry) -> None:
        """Return once the batch is durable: one thread at a time writes for all who wait. Raises SpoolFull."""
        with self._changed:
            self._queue.append(entry)
            self._changed.wait_for(lambda: entry.is_done or not self._is_writing)
            group = [] if entry.is_done else self._queue
            if group:
                self._queue, self._is_writing = [], True
        if group:
            try:
                self._write(group)
            finally:
                with self._changed:
                    for one in group:
                        one.is_done = True
                    self._is_writing = False
                    self._changed.notify_all()
        if entry.error is not None:
            raise entry.error

    def _write(self, group: Sequence[Entry]) -> None:
        fitting = []
        for entry in group:
            try:
                room.take(len(entry.data))
                fitting.append(entry)
            except SpoolFull as full:
                entry.error = full
            except OSError as error:
                entry.error = _unwritable(error)
        if not fitting:
            return
        records = sum(entry.header.records for entry in fitting)
        name = f"{time.time_ns():020d}-{records}-{fitting[0].header.receipt.hex}{SUFFIX}"
        lengths = msgspec.json.encode([len(entry.data) for entry in fitting])
        try:
            write_synced(folder() / name, b"\n".join([lengths, b"".join(entry.data for entry in fitting)]))
        except OSError as error:
            for entry in fitting:
                entry.error = _unwritable(error)
        else:
            for entry in fitting:
                entry.error = None


room, together = Room(), Together()


def _unwritable(error: OSError) -> SpoolFull:
    return SpoolFull(f"the spool cannot be written: {error.strerror}")


def put(header: Header, body: bytes) -> None:
    """Make a batch durable on disk. Raises SpoolFull."""
    together.put(Entry(header, encode(header, body)))


def encode(header: Header, body: bytes) -> bytes:
    """A batch as one piece."""
    return msgspec.json.encode(header) + b"\n" + body


def batches(path: Path) -> list[bytes]:
    """The batches of a file; a file that is none of ours is one batch that cannot be read."""
    data = path.read_bytes()
    line, _, rest = data.partition(b"\n")
    try:
        lengths = msgspec.json.decode(line, type=list[int])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [data]
    ends = list(accumulate(lengths, initial=0))
    return [rest[start:end] for start, end in pairwise(ends)] if ends[-1] == len(rest) else [data]


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


def headers(data: Iterable[bytes]) -> list[Header]:
    """The headers of some batches, without those that cannot be read."""
    found = []
    for one in data:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(decode(one)[0])
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
    return isinstance(error, (OperationalError, InterfaceError, Away))


def drop_connection() -> None:
    """Close a connection that failed, so that the next use makes a new one."""
    try:
        connection.close()
    except DatabaseError:
        log.debug("closing a failed connection failed")
