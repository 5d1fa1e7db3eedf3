"""Which label makes the label sets of a kind many, and which keys send it: read where the kind nears its bound."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from usage.catalog import KINDS, OVERFLOW

LOOKED_AT = 100_000  # records
EXAMPLES = 3

# Records past the bound share a dimension; their own labels stand beside it.
_LABELS = """
SELECT key, count(*), (array_agg(value ORDER BY newest DESC))[1:%(examples)s] FROM (
    SELECT key, value, max(id) AS newest FROM usage_dimension, jsonb_each_text(labels)
    WHERE kind = %(kind)s AND key = ANY(%(names)s) AND value <> %(overflow)s
        AND (%(all)s OR labels->>'workspace' = ANY(%(slugs)s))
    GROUP BY 1, 2
) AS v GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1
"""
_KEYS = """
SELECT k.name, count(DISTINCT coalesce(r.overflow::text, r.dimension_id::text))
FROM (SELECT key_id, dimension_id, overflow FROM usage_record WHERE at > %(since)s AND at <= %(now)s LIMIT %(most)s) r
JOIN usage_dimension d ON d.id = r.dimension_id JOIN accounts_apikey k ON k.id = r.key_id
WHERE d.kind = %(kind)s AND (%(all)s OR d.labels->>'workspace' = ANY(%(slugs)s))
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(examples)s
"""


@dataclass(frozen=True)
class LabelGrowth:
    """The label of a kind with most values, some of the newest of them, and the keys that sent most label sets in the
    last hour, each with their number."""

    label: str
    values: int
    examples: list[str]
    keys: list[tuple[str, int]]


def label_growth(kind: str, workspaces: Collection[str] | None, now: datetime) -> LabelGrowth | None:
    """What a reader of these workspaces (None: all) may know of it; None where there are no labels of theirs.

    Of very many records of the hour some are looked at.
    """
    values: dict[str, str | int | bool | datetime | list[str]] = {
        "kind": kind,
        "names": list(KINDS[kind].open_labels),
        "overflow": OVERFLOW,
        "examples": EXAMPLES,
        "most": LOOKED_AT,
        "since": now - timedelta(hours=1),
        "now": now,
        "all": workspaces is None,
        "slugs": sorted(workspaces or ()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, values)
        found = cursor.fetchone()
        if found is None:
            return None
        cursor.execute(_KEYS, values)
        label, number, examples = found
        return LabelGrowth(label, number, examples, cursor.fetchall())
