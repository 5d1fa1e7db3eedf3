"""Where a metric's events come from: its records counted by each label that their
dimensions carry, now against before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db import connection

from usage.catalog import KINDS, Family
from usage.catalog.grains import FINE, MIDDLE

# Labels that a person can act on, in the order in which they are shown.
TELLING = (
    "team", "component", "provider", "model", "operation", "outcome", "error_type", "server_id",
    "tool_name", "error_kind", "agent_id", "status", "gateway_id", "method", "name", "workspace",
)  # fmt: skip
SHOWN_NAMES: Mapping[str, str] = {
    "error_type": "error",
    "error_kind": "error",
    "server_id": "server",
    "tool_name": "tool",
}
ORDER = {SHOWN_NAMES.get(name, name): place for place, name in enumerate(TELLING)}


@dataclass(frozen=True)
class Contributor:
    """One value of a label: what it counted in the window and in the time before, and
    its share of the larger of the two."""

    label: str
    value: str
    now: float
    before: float
    share: float


@dataclass(frozen=True)
class Window:
    """Two stretches of time of one length: the one looked at, and the one before it."""

    start: datetime
    end: datetime
    before_start: datetime
    before_end: datetime


_SUMS = """
SELECT d.labels::text,
    coalesce(sum({measure}) FILTER (WHERE r.bucket >= %(start)s AND r.bucket < %(end)s), 0),
    coalesce(sum({measure}) FILTER (WHERE r.bucket >= %(before_start)s AND r.bucket < %(before_end)s), 0)
FROM usage_dimension d JOIN {table} r ON r.dimension_id = d.id
WHERE d.kind = %(kind)s AND d.labels @> %(fixed)s::jsonb
    AND r.bucket >= least(%(start)s, %(before_start)s) AND r.bucket < greatest(%(end)s, %(before_end)s)
GROUP BY d.id
"""


def contributors(
    family: Family, labels: Mapping[str, str], window: Window, workspaces: Collection[str] | None, fine: bool
) -> list[Contributor]:
    """The labels that tell most about the family's events with these labels, the largest share first; one query.

    `fine` reads the 15 s rollups, else those of 5 minutes. Labels that `labels` fixes are
    left out, and those that no record gives.
    """
    own = family.split[0] if family.split else ""
    fixed = {family.renames.get(name, name): labels[name] for name in family.labels if name in labels and name != own}
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    totals = [0.0, 0.0]
    for given, now, before in _rows(family, fixed, labels.get(own, ""), window, fine):
        if not (family.covers(given) and family.counts(given)):
            continue
        if workspaces is not None and given.get("workspace") not in workspaces:
            continue
        totals[0] += now
        totals[1] += before
        for name in TELLING:
            if name in KINDS[family.kind].labels and name not in fixed:
                sums[name, given.get(name, "")][0] += now
                sums[name, given.get(name, "")][1] += before
    side = 0 if totals[0] else 1
    found = [
        Contributor(SHOWN_NAMES.get(name, name), value or "not given", pair[0], pair[1], pair[side] / totals[side])
        for (name, value), pair in sums.items()
        if totals[side] and (value or 0 < pair[side] < totals[side])
    ]
    return sorted(
        (one for one in found if one.share >= 0.005), key=lambda one: (-one.share, ORDER[one.label], one.value)
    )


def _rows(
    family: Family, fixed: Mapping[str, str], split_value: str, window: Window, fine: bool
) -> list[tuple[dict[str, str], float, float]]:
    """(labels of a dimension, now, before). Histograms and gauges of calls are counted, not summed."""
    kind = KINDS[family.kind]
    measure = family.split[1].get(split_value, "count") if family.split else family.measure
    offset = kind.offsets["count" if measure in kind.observed else measure]
    query = _SUMS.format(measure=f"coalesce(r.measures[{offset + 1}], 0)", table=(FINE if fine else MIDDLE).table)
    values: dict[str, str | datetime] = {
        "kind": family.kind,
        "fixed": msgspec.json.encode(fixed).decode(),
        "start": window.start,
        "end": window.end,
        "before_start": window.before_start,
        "before_end": window.before_end,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [
            (msgspec.json.decode(given, type=dict[str, str]), float(now), float(before))
            for given, now, before in cursor.fetchall()
        ]
