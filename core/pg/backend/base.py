"""The name that Django looks for: a `DatabaseWrapper`."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg import IsolationLevel

from core.pg.breaker import BoundedConnection, breaker


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for how it connects."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        """A connection. Where none is had, the breaker learns it; while it is open, none is tried."""
        breaker.check()
        self.isolation_level = IsolationLevel.READ_COMMITTED
        try:
            return BoundedConnection.connect(**conn_params)
        except psycopg.OperationalError as error:
            breaker.fail(error)
            raise
