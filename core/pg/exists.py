"""One question to Postgres for several, again and again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

# The time for which the statement is made: each time among its values is then known by how far it is from that.
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class AnyExists:
    """Whether any of some querysets, each made for a time, has a row at that time.

    The statement is made once: to make it takes Django ten times as long as to ask.
    """

    def __init__(self, *querysets: Callable[[datetime], QuerySet[Any]]) -> None:
        self._querysets = querysets
        self._statement = ""
        self._values: list[Any] = []

    def __call__(self, now: datetime) -> bool:
        """Ask, by one statement."""
        if not self._statement:
            self._make()
        values = [now + value if isinstance(value, timedelta) else value for value in self._values]
        with connection.cursor() as cursor:
            cursor.execute(self._statement, values)
            found = cursor.fetchone()
        return bool(found and found[0])

    def _make(self) -> None:
        made = [one(_SOME_TIME).order_by().values("pk").query.sql_with_params() for one in self._querysets]
        values = [value for _, some in made for value in some]
        self._values = [value - _SOME_TIME if isinstance(value, datetime) else value for value in values]
        self._statement = "SELECT " + " OR ".join(f"EXISTS ({sql})" for sql, _ in made)
