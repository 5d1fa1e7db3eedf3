"""Partitions by time: made before rows need them, dropped when their time is over.

Making and dropping are idempotent and safe beside each other; each process remembers the partitions it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, connection, transaction
from psycopg import errors

from core.pg.locks import AdvisoryLock
from core.process_cache import ProcessCache

LOCK = AdvisoryLock(7_310_003)


@dataclass(frozen=True)
class Partitioned:
    """A table, whether its partitions span a day or a month, and by what a row is unique in its
    partition (beyond the table's own keys)."""

    table: str
    monthly: bool = False
    unique: str = ""

    def span(self, at: datetime) -> tuple[datetime, datetime]:
        """The partition's bounds around `at`, UTC; the end is exclusive."""
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if not self.monthly:
            return day, day + timedelta(days=1)
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)

    def name(self, at: datetime) -> str:
        """The partition's table."""
        return f"{self.table}_{self.span(at)[0]:{'%Y%m' if self.monthly else '%Y%m%d'}}"


_seen: ProcessCache[str, bool] = ProcessCache()


def ensure(parent: Partitioned, times: Iterable[datetime]) -> None:
    """Make the partitions that hold `times`, where they are missing; in a transaction of its own."""
    missing = {parent.name(at): parent.span(at) for at in times if not _seen.get(parent.name(at))}
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: CREATE … IF NOT EXISTS still fails when two run at once.
        LOCK.take(cursor)
        for name, (start, end) in sorted(missing.items()):
            cursor.execute("SELECT to_regclass(%s) IS NULL", [name])
            if cursor.fetchone()[0]:
                bounds = [start.isoformat(), end.isoformat()]
                cursor.execute(f"CREATE TABLE {name} PARTITION OF {parent.table} FOR VALUES FROM (%s) TO (%s)", bounds)
                if parent.unique:
                    cursor.execute(f"CREATE UNIQUE INDEX {name}_unique ON {name} ({parent.unique})")
    _seen.keep(dict.fromkeys(missing, True))


def forget_dropped(error: IntegrityError) -> bool:
    """Whether an error says that a row has no partition, as another process dropped one that this process had seen.
    The next `ensure` looks at all of them anew."""
    is_dropped = isinstance(error.__cause__, errors.CheckViolation) and "no partition of relation" in str(error)
    if is_dropped:
        _seen.forget()
    return is_dropped


def drop_before(parent: Partitioned, floor: datetime) -> list[str]:
    """Drop the partitions that end at or before `floor`; their names."""
    with transaction.atomic(), connection.cursor() as cursor:
        LOCK.take(cursor)
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [parent.table],
        )
        old = [name for (name,) in cursor.fetchall() if ends_by(parent, name, floor)]
        for name in old:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
    _seen.drop(old)
    return old


def ends_by(parent: Partitioned, name: str, floor: datetime) -> bool:
    """Whether the partition `name` ends at or before `floor`."""
    digits = name.removeprefix(f"{parent.table}_")
    start = datetime.strptime(digits, "%Y%m" if parent.monthly else "%Y%m%d").replace(tzinfo=UTC)
    return parent.span(start)[1] <= floor
