"""What Postgres has, as numpy arrays: a query's rows through binary COPY, without a Python object per value."""

from __future__ import annotations

import selectors
from collections.abc import Iterator

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray
from psycopg import pq
from psycopg.errors import error_from_result

from core.net import tracing

COPY_HEADER, COPY_PIECE = 19, 262_144  # bytes
Rows = NDArray[np.void]
YEAR_2000 = 946_684_800  # epoch seconds at which Postgres's timestamps are 0


def copied(cursor: CursorWrapper, query: str, integers: list[str], floats: list[str]) -> Rows:
    """A query's rows through binary COPY into a structured array.

    The columns are bigint or timestamptz (`integers`) and double precision (`floats`), in this order, none of them
    NULL: each row has one width. A timestamptz is microseconds since 2000.
    """
    return np.concatenate(list(copied_pieces(cursor, query, integers, floats)))


def copied_pieces(cursor: CursorWrapper, query: str, integers: list[str], floats: list[str]) -> Iterator[Rows]:
    """The same, some thousand rows at a time. All of them must be taken before the next query."""
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    for name, kind in [*((name, ">i8") for name in integers), *((name, ">f8") for name in floats)]:
        fields += [(f"{name} width", ">i4"), (name, kind)]
    sent = np.dtype(fields)
    native = np.dtype([(name, "<i8") for name in integers] + [(name, "<f8") for name in floats])
    rest, left = b"", COPY_HEADER
    for data in copied_bytes(cursor, query):
        rest += data
        # The trailer is shorter than any row.
        count = (len(rest) - left) // sent.itemsize
        rows = np.frombuffer(rest, dtype=sent, count=count, offset=left)
        plain = np.empty(count, dtype=native)
        for name in (*integers, *floats):
            plain[name] = rows[name]
        yield plain
        rest, left = rest[left + count * sent.itemsize :], 0


def copied_bytes(cursor: CursorWrapper, query: str) -> Iterator[bytes]:
    """What COPY answers in its binary form, in pieces that fit a processor's cache; the first has the whole header.

    Postgres sends a message per row. psycopg's `copy` passes each through several generators, which takes longer than
    Postgres needs to make it; so the messages are taken from libpq itself, all that have come, before the next wait.
    """
    pgconn = cursor.connection.pgconn
    data = bytearray()
    statement = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with tracing.statement(statement), connection.wrap_database_errors, selectors.DefaultSelector() as readable:
        results = [pgconn.exec_(statement.encode())]
        if results[0].status == pq.ExecStatus.COPY_OUT:
            readable.register(pgconn.socket, selectors.EVENT_READ)
            while (step := pgconn.get_copy_data(1))[0] >= 0:
                if step[0]:
                    data += step[1]
                    if len(data) > COPY_PIECE:
                        yield bytes(data)
                        data.clear()
                else:
                    readable.select()
                    pgconn.consume_input()
            # To the last one, or the connection stays busy.
            while (result := pgconn.get_result()) is not None:
                results.append(result)
        if results[-1].status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(results[-1])
    yield bytes(data)
