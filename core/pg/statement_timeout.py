"""How long the web server waits for a statement of Postgres. Past it, a batch of records goes to the
spool and a page reports the failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# As long as a PromQL query may take at most.
STATEMENT_TIMEOUT = "120s"


def with_statement_timeout(database: Mapping[str, Any]) -> dict[str, Any]:
    """Django's settings of a database, with a bound on each statement of its connections."""
    options = database["OPTIONS"]
    bounded = f"{options.get('options', '')} -c statement_timeout={STATEMENT_TIMEOUT}".strip()
    return {**database, "OPTIONS": {**options, "options": bounded}}
