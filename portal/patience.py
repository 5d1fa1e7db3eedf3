"""How long the web server waits for a statement of Postgres. Past it, a batch of records goes to the spool and a page says what failed."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# As long as a PromQL query may take at most.
STATEMENT_TIMEOUT = "120s"


def bound_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Bound each statement of a new connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [STATEMENT_TIMEOUT])
