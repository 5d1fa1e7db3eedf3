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
from core.process_cache import ProcessCache
from core.ui.time_range import HOUR
from promql.values import Floats
from usage.catalog import KINDS, Kind
from usage.models import Dimension, Price
from usage.series.counted import stretches
from usage.series.finished import GroupSums, Places, Steps
from usage.series.grid import Segment, segments
from usage.series.index import series_index
from usage.series.reading import read_tables

DAY = 86_400
# By label: how many label sets there were and the newest of them, and the places of the values.
_colours: ProcessCache[str, tuple[tuple[int, int], Mapping[str, int]]] = ProcessCache(16)


@dataclass(frozen=True)
class Sums:
    """Sums of measures: `values` [group, step, column], a group being one set of values of the labels asked for."""

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
        first = self.columns[measure]
        part: Floats = self.values[:, :, first : first + len(self.kind.observed[measure].buckets) + 1]
        return part


class Rollups:
    """Reads sums of a kind for the workspaces of a reader (None: all)."""

    def __init__(self, kind: str, slugs: frozenset[str] | None, now: datetime) -> None:
        self._kind, self._slugs = KINDS[kind], slugs
        self._now = int(now.timestamp())
        self._since = self._now - DAY
        with connection.cursor() as cursor:
            self._tables = read_tables(cursor, self._since, self._now)
            self._index = series_index(cursor, kind, self._tables.sizes)

    @property
    def is_empty(self) -> bool:
        """Whether no record of this kind ever came."""
        return not self._index.grouped((), self._slugs).values

    def values(self, label: str) -> frozenset[str]:
        """The values that a label has."""
        return frozenset(value for (value,) in self._index.grouped((label,), self._slugs).values)

    def sums(self, measures: Sequence[str], by: tuple[str, ...], start_ms: int, end_ms: int, step_ms: int = 0) -> Sums:
        """Sums from `start_ms` to `end_ms`, per step (0: one step for all). Labels that are missing count as ""."""
        groups, members = self._index.grouped(by, self._slugs)
        span = max(end_ms - start_ms, 1)
        # From the exact start: counted from its second, the last bucket would fall behind the last step.
        steps = Steps(start_ms, step_ms or span, -(-span // step_ms) if step_ms else 1)
        places = self._places(measures)
        identity = (self._kind.name, self._index.lineage, self._slugs, by, tuple(measures))
        with connection.cursor() as cursor:
            parts = self._parts(cursor, start_ms // 1000, -(-end_ms // 1000), by_hours=not 0 < step_ms < HOUR)
            of_groups = GroupSums(
                cursor, self._tables, self._kind.name, members, len(groups), list(places.values()), identity
            )
            values = np.moveaxis(of_groups.over(parts, steps), 0, 1)
        return Sums(self._kind, groups, values, {name: place.column for name, place in places.items()})

    def _places(self, measures: Sequence[str]) -> dict[str, Places]:
        """Where each measure is; of a histogram its buckets."""
        found: dict[str, Places] = {}
        column = 0
        for measure in measures:
            observed, offset = self._kind.observed.get(measure), self._kind.offsets[measure]
            width = len(observed.buckets) + 1 if observed else 1
            found[measure] = Places(column, offset + 1 if observed else offset, width)
            column += width
        return found

    def _parts(self, cursor: CursorWrapper, start: int, end: int, *, by_hours: bool) -> list[Segment]:
        """The parts that cover the time (epoch seconds), its full hours in one bucket each where that is enough."""
        if start < self._since:
            self._since, self._tables = start, read_tables(cursor, start, self._now)
        if not by_hours:
            return segments(start, end, self._now, 900, self._tables.watermark)
        return stretches(start, end, self._now, self._tables)


def quantile(share: float, bounds: Sequence[float], counts: Floats) -> float:
    """A quantile as histogram_quantile() gives it, of counts per bucket (+Inf last, not cumulated); NaN without any."""
    return float(quantiles(share, bounds, np.asarray(counts)[None, :])[0])


def quantiles(share: float, bounds: Sequence[float], counts: Floats) -> Floats:
    """The same of each row of counts."""
    cumulated = np.cumsum(counts, axis=1)
    rank = share * cumulated[:, -1]
    place = (cumulated < rank[:, None]).sum(axis=1)
    inside = np.minimum(place, len(bounds) - 1)
    every, high = np.arange(len(counts)), np.asarray(bounds)[inside]
    low = np.where(inside > 0, np.asarray(bounds)[inside - 1], 0.0)
    below = np.where(inside > 0, cumulated[every, inside - 1], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = low + (high - low) * (rank - below) / counts[every, inside]
    found = np.where(place >= len(bounds), bounds[-1], between)
    return np.where(cumulated[:, -1] > 0, found, np.nan)


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


def label_sets() -> int:
    """How many label sets there are, of all kinds."""
    return Dimension.objects.count()


def colours_by_value(label: str) -> Mapping[str, int]:
    """The values of a label in the order in which they first came: that order gives each its colour, on every page."""
    if not label:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), max(id) FROM usage_dimension")
        size = cursor.fetchone()
        known = _colours.get(label)
        if known is None or known[0] != size:
            cursor.execute(
                "SELECT labels->>%s, min(id) FROM usage_dimension WHERE labels ? %s GROUP BY 1 ORDER BY 2",
                [label, label],
            )
            known = size, {value: place for place, (value, _) in enumerate(cursor.fetchall())}
            _colours.keep({label: known})
        return known[1]


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
