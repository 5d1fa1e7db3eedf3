"""What pages read of the rollups besides PromQL: sums per label and step, the order of labels, prices that are missing.

Raw records are never read here: what a page costs does not grow with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper

from core.accounts.models import ApiKey
from promql.values import Floats
from usage.catalog import KINDS, Kind
from usage.models import Dimension, Price
from usage.series.grid import segments
from usage.store import watermark

# Spans from here on are read from hours, shorter ones from 5 minutes or 15 seconds (see usage.series.grid).
HOURS_FROM_MS = 3 * 86_400_000


@dataclass(frozen=True)
class Sums:
    """Sums of measures: `values` [group, step, offset], a group being one set of values of the labels asked for."""

    kind: Kind
    groups: list[tuple[str, ...]]
    values: Floats
    columns: Mapping[str, int]

    def of(self, measure: str) -> Floats:
        """A measure that is counted [group, step]."""
        column: Floats = self.values[:, :, self.columns[measure]]
        return column

    def buckets(self, measure: str) -> Floats:
        """The buckets of a histogram [group, step, bucket], +Inf last, not cumulated."""
        first = self.columns[measure] + 1
        part: Floats = self.values[:, :, first : first + len(self.kind.observed[measure].buckets) + 1]
        return part


class Rollups:
    """Reads sums of a kind for the workspaces of a reader (None: all). Label sets are read once, when it is made."""

    def __init__(self, kind: str, slugs: frozenset[str] | None, now: datetime) -> None:
        self._kind = KINDS[kind]
        self._now = int(now.timestamp())
        found = Dimension.objects.filter(kind=kind)
        if slugs is not None:
            found = found.filter(labels__workspace__in=sorted(slugs))
        self._dimensions: list[tuple[int, dict[str, str]]] = list(found.order_by("id").values_list("id", "labels"))
        with connection.cursor() as cursor:
            cursor.execute(watermark.READ)
            self._watermark = watermark.Watermark(*cursor.fetchone())

    @property
    def is_empty(self) -> bool:
        """Whether no record of this kind ever came."""
        return not self._dimensions

    def values(self, label: str) -> frozenset[str]:
        """The values that a label has."""
        return frozenset(labels.get(label, "") for _, labels in self._dimensions)

    def sums(self, measures: Sequence[str], by: tuple[str, ...], start_ms: int, end_ms: int, step_ms: int = 0) -> Sums:
        """Sums from `start_ms` to `end_ms`, per step (0: one step for all). Labels that are missing count as ""."""
        places: dict[tuple[str, ...], int] = {}
        place_of = [
            places.setdefault(tuple(labels.get(name, "") for name in by), len(places)) for _, labels in self._dimensions
        ]
        offsets, columns = self._offsets(measures)
        span = max(end_ms - start_ms, 1)
        steps = -(-span // step_ms) if step_ms else 1
        values = np.zeros((len(places), steps, len(offsets)))
        if self._dimensions:
            ids = [pk for pk, _ in self._dimensions]
            with connection.cursor() as cursor:
                for rows in self._read(cursor, offsets, ids, place_of, start_ms, end_ms, step_ms or span):
                    for place, step, *sums in rows:
                        if step < steps:
                            values[int(place), int(step)] += sums
        return Sums(self._kind, list(places), values, columns)

    def _offsets(self, measures: Sequence[str]) -> tuple[list[int], dict[str, int]]:
        """The offsets of the measures in the rollups' arrays, and the column at which each measure begins."""
        offsets: list[int] = []
        columns: dict[str, int] = {}
        for measure in measures:
            columns[measure] = len(offsets)
            observed = self._kind.observed.get(measure)
            first = self._kind.offsets[measure]
            offsets += range(first, first + (observed.width if observed else 1))
        return offsets, columns

    def _read(
        self,
        cursor: CursorWrapper,
        offsets: list[int],
        ids: list[int],
        places: list[int],
        start_ms: int,
        end_ms: int,
        step_ms: int,
    ) -> list[list[tuple[float, ...]]]:
        """Rows of (group, step, sums …), one list per grain that answers a stretch of the range."""
        start, end = start_ms // 1000, -(-end_ms // 1000)
        coarse = end_ms - start_ms >= HOURS_FROM_MS
        sums = ", ".join(f"coalesce(sum(r.measures[{offset + 1}]), 0)" for offset in offsets)
        answers = []
        for part in segments(start, end, self._now, 10_800 if coarse else 900, self._watermark):
            cursor.execute(
                f"SELECT g.place, greatest(floor((extract(epoch FROM r.bucket) - %s) / %s), 0)::int, {sums}"  # noqa: S608 - only names of our own; values are parameters
                f" FROM {part.grain.table} r"
                " JOIN unnest(%s::bigint[], %s::int[]) AS g(id, place) ON g.id = r.dimension_id"
                " WHERE r.bucket >= to_timestamp(%s) AND r.bucket < to_timestamp(%s) GROUP BY 1, 2",
                # From the exact start: counted from its second, the last bucket would fall behind the last step.
                [start_ms / 1000, step_ms / 1000, ids, places, part.start, part.end],
            )
            answers.append(cursor.fetchall())
        return answers


def quantile(share: float, bounds: Sequence[float], counts: Floats) -> float:
    """A quantile as histogram_quantile() gives it, of counts per bucket (+Inf last, not cumulated); NaN without any."""
    cumulated = np.cumsum(counts)
    total = cumulated[-1]
    if not total > 0:
        return float("nan")
    place = int(np.searchsorted(cumulated, share * total))
    if place >= len(bounds):
        return float(bounds[-1])
    low, below = (bounds[place - 1], cumulated[place - 1]) if place else (0.0, 0.0)
    return float(low + (bounds[place] - low) * (share * total - below) / counts[place])


def label_values(kind: str, label: str, slugs: frozenset[str] | None) -> frozenset[str]:
    """The values that a label of a kind has had in the workspaces (None: all)."""
    found = Dimension.objects.filter(kind=kind)
    if slugs is not None:
        found = found.filter(labels__workspace__in=sorted(slugs))
    values = found.values_list(f"labels__{label}", flat=True).distinct()
    return frozenset(value for value in values if value)


def prices_between(start: datetime, end: datetime) -> list[Price]:
    """The operators' prices that were entered from `start` to `end`, the newest first."""
    return list(Price.objects.filter(created_at__range=(start, end)).order_by("-created_at")[:50])


def colours_by_value(label: str) -> dict[str, int]:
    """The values of a label in the order in which they first came: that order gives each its colour, on every page."""
    if not label:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT labels->>%s, min(id) FROM usage_dimension WHERE labels ? %s GROUP BY 1 ORDER BY 2", [label, label]
        )
        return {value: place for place, (value, _) in enumerate(cursor.fetchall())}


@dataclass(frozen=True)
class Arrival:
    """How records come in: when the last one was stored, and how many came a second over the last minute."""

    last_at: datetime | None
    per_second: float


def arrival(slugs: frozenset[str] | None, now: datetime) -> Arrival:
    """Of the workspaces, from receipts of the last day, which are indexed by time."""
    scoped = (
        "" if slugs is None else " AND workspace_id IN (SELECT id FROM accounts_workspace WHERE slug = ANY(%(slugs)s))"
    )
    query = (
        "SELECT (SELECT received_at FROM usage_receipt WHERE received_at > %(now)s - interval '30 days'"  # noqa: S608 - only names of our own; values are parameters
        " AND accepted > 0 AND state = 'stored'"
        f"{scoped} ORDER BY received_at DESC LIMIT 1),"
        " (SELECT coalesce(sum(accepted), 0) FROM usage_receipt"
        f" WHERE received_at > %(now)s - interval '1 minute' AND state = 'stored'{scoped})"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, {"now": now, "slugs": sorted(slugs or ())})
        last_at, accepted = cursor.fetchone()
    return Arrival(last_at, accepted / 60)


def keys_in_use(slugs: frozenset[str] | None) -> list[ApiKey]:
    """Keys that are not revoked and may send, with their workspace, the longest silent first."""
    found = ApiKey.objects.filter(revoked_at=None, scopes__contains=["ingest"]).select_related("workspace")
    if slugs is not None:
        found = found.filter(workspace__slug__in=sorted(slugs))
    return list(found.order_by("last_used_at", "name"))
