"""Advisory locks of Postgres: who holds one keeps others from the same work, without locking a row.

Each lock has a number that nobody else uses, or a class of locks has it, one for each part (an id or a name).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from django.db import connection
from django.db.backends.utils import CursorWrapper

Part = int | str


class AdvisoryLock:
    """A lock by its number, for a transaction or for a session."""

    _numbers: ClassVar[set[int]] = set()

    def __init__(self, number: int) -> None:
        if number in self._numbers:
            raise ValueError(f"another advisory lock has the number {number}")
        self._numbers.add(number)
        self.number = number

    def take(self, cursor: CursorWrapper, part: Part | None = None, *, shared: bool = False) -> None:
        """Wait for the lock and hold it until the transaction ends; several may hold it shared."""
        _call(cursor, f"pg_advisory_xact_lock{'_shared' if shared else ''}", self.number, part)

    def try_take(self, cursor: CursorWrapper, part: Part | None = None) -> bool:
        """Hold the lock until the transaction ends, if nobody else has it; whether it is held."""
        return _call(cursor, "pg_try_advisory_xact_lock", self.number, part)

    @contextmanager
    def session(self, part: Part | None = None) -> Iterator[None]:
        """Wait for the lock and hold it across transactions."""
        with connection.cursor() as cursor:
            _call(cursor, "pg_advisory_lock", self.number, part)
        try:
            yield
        finally:
            self._release(part)

    @contextmanager
    def try_session(self, part: Part | None = None) -> Iterator[bool]:
        """Hold the lock across transactions, if nobody else has it; whether it is held."""
        with connection.cursor() as cursor:
            held = _call(cursor, "pg_try_advisory_lock", self.number, part)
        try:
            yield held
        finally:
            if held:
                self._release(part)

    def _release(self, part: Part | None) -> None:
        # A connection that broke has let go of its locks.
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                _call(cursor, "pg_advisory_unlock", self.number, part)


def _call(cursor: CursorWrapper, function: str, number: int, part: Part | None) -> bool:
    """Call a function of one number, or of a class and a part of it; a name becomes a number by its hash."""
    if part is None:
        cursor.execute(f"SELECT {function}(%s)", [number])
    elif isinstance(part, int):
        cursor.execute(f"SELECT {function}(%s, %s)", [number, part])
    else:
        cursor.execute(f"SELECT {function}(%s, hashtext(%s))", [number, part])
    return bool(cursor.fetchone()[0])
