"""Statements that Postgres plans once per connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection

from core.net import tracing


def prepared(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
    """The first row of a statement that Postgres plans once per connection. Django's own
    cursors send values within the text."""
    with tracing.statement(statement), connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(statement, values, prepare=True).fetchone()
