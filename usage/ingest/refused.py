"""Requests that were answered 503: what of usage they had counts as missing, once Postgres answers.

Each is a file in a folder of the spool, named by its body. When the same body comes again it takes up the receipt of
the first time: so it is missing once, however often it was refused, and no longer once it is stored. A request takes
the file away, so that of two equal ones only one has that receipt.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import msgspec

from usage.ingest import spool
from usage.records.columns import DimensionKey
from usage.store import missing
from usage.store.missing import Events

MAX_KEPT = 10_000
KEPT_SECONDS = 86_400  # whoever has not come again by then does not
COUNTED = ".counted"


class Refused(msgspec.Struct, frozen=True):
    """A request that was answered 503: the receipt that it would have had, and its usage events, as many of each
    dimension in each bucket of 15 s."""

    receipt: uuid.UUID
    events: list[tuple[DimensionKey, int, int]]


class Kept:
    """How many files there are, looked at once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._number = 0
        self._looked_at = 0.0

    def has_room(self) -> bool:
        """Whether one more may be written."""
        with self._lock:
            now = time.monotonic()
            if folder() != self._folder or now - self._looked_at > 1:
                self._folder, self._number, self._looked_at = folder(), len(os.listdir(folder())), now
            self._number += 1
            return self._number <= MAX_KEPT


kept = Kept()


def folder() -> Path:
    """Where the files are."""
    path = spool.folder() / "refused"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def keep(body: bytes, header: spool.Header, events: Events) -> None:
    """Remember a request that is answered 503. Where that cannot be written, or there are too many, it is counted
    by `usage.ingest.node` only."""
    one = Refused(header.receipt, [(key, bucket, number) for (key, bucket), number in events.items()])
    with suppress(OSError):
        if kept.has_room():
            (folder() / _name(body, header.workspace_id)).write_bytes(msgspec.msgpack.encode(one))


def take(body: bytes, workspace_id: int) -> uuid.UUID | None:
    """The receipt of this body, if it was answered 503 before; None where it was not, or where a request that came
    meanwhile has it."""
    try:
        if not any(os.scandir(folder())):
            return None
        name = _name(body, workspace_id)
        for path in (folder() / name, folder() / f"{name}{COUNTED}"):
            with suppress(FileNotFoundError, msgspec.DecodeError):
                found = msgspec.msgpack.decode(path.read_bytes(), type=Refused)
                path.unlink()
                return found.receipt
    except OSError:
        return None
    return None


def count(now: float) -> None:
    """Count what was refused as missing, each request once, and forget what nobody sends again. Raises
    django.db.DatabaseError."""
    for path in [*folder().iterdir()]:
        with suppress(FileNotFoundError, msgspec.DecodeError):
            if path.stat().st_mtime < now - KEPT_SECONDS:
                path.unlink()
            elif path.suffix != COUNTED:
                _count(path, now)


def _count(path: Path, now: float) -> None:
    one = msgspec.msgpack.decode(path.read_bytes(), type=Refused)
    missing.count(one.receipt, {(key, bucket): number for key, bucket, number in one.events}, now, lost=True)
    try:
        path.rename(path.with_suffix(COUNTED))
    except FileNotFoundError:
        missing.take_back(one.receipt)  # it has come again, and was stored, meanwhile


def _name(body: bytes, workspace_id: int) -> str:
    return blake2b(body, digest_size=16, salt=workspace_id.to_bytes(16, "big")).hexdigest()
