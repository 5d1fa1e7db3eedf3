"""One state of the tables for several reads: a record is in all of them or in none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from psycopg import IsolationLevel


@contextmanager
def snapshot(statement_seconds: int | None = None) -> Iterator[None]:
    """A transaction that only reads, on one state of the tables; within a transaction
    that is under way, a part of that.

    A statement that takes longer than `statement_seconds` is cancelled. Costs no round trip without that bound.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    connection.ensure_connection()
    session = connection.connection
    session.isolation_level, session.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with transaction.atomic():
            if statement_seconds is not None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{statement_seconds}s"])
            yield
    finally:
        if not session.closed:
            session.isolation_level = session.read_only = None
