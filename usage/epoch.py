"""What every storing transaction agrees on with the tasks that rearrange the tables.

A storing transaction joins the epoch: it takes the shared lock until its end and reads the one row of `Epoch`. A task that changes
the row turns the epoch: it takes the same lock exclusively, so that it waits for the storing transactions under way and later ones
read the new row. Thus whoever stores after a turn sees all that was stored before it, which makes three things right:

- event ids that the raw rows' own index does not see to (see usage.store): they go into the current generation, and are looked up in
  all. A generation becomes read-only by a turn.
- coarser grains: a dirty bucket is claimed by a turn; whoever stores later marks it again (see usage.rollup).
- retention: rollups older than a grain's floor go to the next coarser grain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

LOCK = 7_310_001


class State(NamedTuple):
    """The epoch's row; floors are epoch seconds, -inf where nothing was dropped yet."""

    generation: int
    floor_15s: float
    floor_5m: float
    floor_1h: float


COLUMNS = (
    "{0}.generation, extract(epoch FROM {0}.floor_15s)::float8, extract(epoch FROM {0}.floor_5m)::float8,"
    " extract(epoch FROM {0}.floor_1h)::float8"
)
READ = f"SELECT {COLUMNS.format('e')} FROM usage_epoch e"


def prepared(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
    """The first row of a statement that Postgres plans once per connection. Django's own cursors send values within the text."""
    with connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(statement, values, prepare=True).fetchone()


@contextmanager
def turn() -> Iterator[CursorWrapper]:
    """A transaction in which the epoch's row, or what goes with it, may be changed. Keep it short: storing waits for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield cursor
