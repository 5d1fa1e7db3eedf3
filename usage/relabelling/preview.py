"""What a rule of labels would have made of the last day's label sets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db import connection

from usage.catalog import KINDS
from usage.records.columns import DimensionKey
from usage.relabelling.applying import Relabel

EXAMPLES = 5
LOOKED_AT = 200_000  # records past the bound, each with its own labels

_DAY = """
SELECT labels::text FROM usage_dimension WHERE kind = %(kind)s AND (%(all)s OR labels->>'workspace' = ANY(%(slugs)s))
AND id IN (
    SELECT dimension_id FROM usage_rollup_1h WHERE bucket > %(since)s AND bucket <= %(now)s
    UNION SELECT dimension_id FROM usage_rollup_15s WHERE bucket > %(recent)s AND bucket <= %(now)s
)
UNION
SELECT overflow::text FROM (
    SELECT r.overflow FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id
    WHERE r.at > %(since)s AND r.at <= %(now)s AND r.overflow IS NOT NULL AND d.kind = %(kind)s
        AND (%(all)s OR d.labels->>'workspace' = ANY(%(slugs)s))
    LIMIT %(most)s
) AS past_the_bound
"""


@dataclass(frozen=True)
class Preview:
    """Label sets of the last day: how many there were, how many would remain; examples of a value and what becomes of
    it, and how many values the rule changes."""

    before: int
    after: int
    changed: int
    examples: list[tuple[str, str]]


def preview(rule: Relabel, workspaces: Collection[str] | None, now: datetime) -> Preview:
    """Over what a reader of these workspaces (None: all) may see of the kind's label sets."""
    names = KINDS[rule.kind].labels
    slugs = workspaces if rule.workspace is None else [rule.workspace]
    given: dict[str, str | int | bool | datetime | list[str]] = {
        "kind": rule.kind,
        "all": slugs is None,
        "slugs": sorted(slugs or ()),
        "since": now - timedelta(days=1),
        "recent": now - timedelta(minutes=15),
        "now": now,
        "most": LOOKED_AT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DAY, given)
        found = [msgspec.json.decode(text, type=dict[str, str]) for (text,) in cursor.fetchall()]
    keys: set[DimensionKey] = {(rule.kind, *(labels.get(name, "") for name in names)) for labels in found}
    remaining = {rule.key(key) for key in keys}
    values = sorted({key[rule.place] for key in keys})
    changed = [(value, rule.value(value)) for value in values if rule.value(value) != value]
    return Preview(len(keys), len(remaining), len(changed), changed[:EXAMPLES])
