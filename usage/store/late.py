"""Records that came after the rules which read them were evaluated: noted with the batch, in its statement, and taken
by who evaluates those slots again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from django.conf import settings
from django.db import connection

from usage.records.columns import Columns

# A batch notes a row for each kind; more of them wait for the next time.
AT_ONCE = 10_000
# Whoever takes them decides what is to be done again in the same transaction.
_TAKE = """
WITH taken AS (
    DELETE FROM usage_latearrival WHERE id IN (
        SELECT id FROM usage_latearrival ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    ) RETURNING workspace_id, kind, first_at
)
SELECT workspace_id, kind, min(first_at) FROM taken GROUP BY 1, 2
"""


def late_of(columns: Columns, now: float) -> dict[str, float]:
    """The time (epoch seconds) of the first late record of each kind: of those that are not older than
    PORTAL_LATE_RECORDS."""
    config = settings.PORTAL
    rows = np.flatnonzero((columns.at < now - config.evaluation_delay) & (columns.at >= now - config.late_records))
    if not len(rows):
        return {}
    first = np.full(len(columns.keys), np.inf)
    np.minimum.at(first, columns.key_of[rows], columns.at[rows])
    found: dict[str, float] = {}
    for (kind, *_), at in zip(columns.keys, first.tolist(), strict=True):
        if at < np.inf:
            found[kind] = min(at, found.get(kind, np.inf))
    return found


def take_late() -> Mapping[tuple[int, str], datetime]:
    """The first late record of each workspace (id) and kind, taken within the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [AT_ONCE])
        return {(workspace, kind): at for workspace, kind, at in cursor.fetchall()}
