"""6 series: which dimensions there are, remembered by each process: labels never change, and Postgres says when there
are new ones.

`first_at` does change: a late record moves it back. What is remembered is thus the latest that it can be, which is
enough to know for a series that began before the range in question; of others it is read anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from django.db.backends.utils import CursorWrapper

from core.process_cache import ProcessCache
from promql import LabelSets, Matcher
from promql.values import Ints
from usage.catalog import Family

Sizes = Mapping[str, tuple[int, int]]
MAX_GROUPS = 256  # selections remembered per family
MAX_GROUPINGS = 32  # remembered per kind


@dataclass(frozen=True, eq=False)
class Group:
    """The series of one family: the labels that each shows, and the dimensions (by id) that count, with their series.

    `covered` are the places in the index of all dimensions that make a series be there, `series_of` the series of each.
    """

    labels: LabelSets
    ids: Ints
    series: Ints
    covered: Ints
    series_of: Ints

    @cached_property
    def listed(self) -> str:
        """The ids in SQL."""
        return f"'{{{','.join(map(str, self.ids.tolist()))}}}'::bigint[]"


class Grouping(NamedTuple):
    """Sets of values of some labels, and the dimensions with the place of their set."""

    values: list[tuple[str, ...]]
    members: Group


@dataclass(frozen=True, eq=False)
class SeriesIndex:
    """The dimensions of a kind, by ascending id. `lineage` is that of all that were extended from one beginning: what
    was numbered by the order of the dimensions keeps its number in it."""

    ids: Ints
    labels: list[dict[str, str]]
    first_at: Ints
    lineage: object = field(default_factory=object)
    families: dict[tuple[str, str], FamilyRows] = field(default_factory=dict)

    @cached_property
    def grouped(self) -> Callable[[tuple[str, ...], frozenset[str] | None], Grouping]:
        """The dimensions of some workspaces (None: all) by the values of labels; what is missing counts as ""."""
        return lru_cache(maxsize=MAX_GROUPINGS)(self._grouped)

    def _grouped(self, by: tuple[str, ...], workspaces: frozenset[str] | None) -> Grouping:
        places: dict[tuple[str, ...], int] = {}
        found = [
            (place, places.setdefault(tuple(labels.get(name, "") for name in by), len(places)))
            for place, labels in enumerate(self.labels)
            if workspaces is None or labels.get("workspace") in workspaces
        ]
        rows, group = np.array(found, dtype=np.int64).reshape(-1, 2).T
        nothing = np.zeros(0, dtype=np.int64)
        return Grouping(list(places), Group(LabelSets([]), self.ids[rows], group, nothing, nothing))

    def family(self, family: Family, split_value: str) -> FamilyRows:
        """The family's view of them; `split_value` for the label that its `split` adds."""
        key = (family.name, split_value)
        if key not in self.families:
            self.families[key] = FamilyRows(self, family, split_value)
        return self.families[key]

    def begun(self, cursor: CursorWrapper, group: Group, at: int) -> Ints:
        """The first bucket of each series of a group (epoch seconds), exactly where it is after `at`."""
        first = self.first_at[group.covered]
        late = np.flatnonzero(first > at)
        if len(late):
            ids = self.ids[group.covered[late]]
            cursor.execute(
                "SELECT extract(epoch FROM first_at)::bigint FROM usage_dimension WHERE id = ANY(%s::bigint[]) ORDER"
                " BY id",
                [ids.tolist()],
            )
            first[late] = [value for (value,) in cursor.fetchall()]
        found = np.full(len(group.labels), np.iinfo(np.int64).max)
        np.minimum.at(found, group.series_of, first)
        return found


class FamilyRows:
    """The dimensions that count in a family and how they show there."""

    def __init__(self, index: SeriesIndex, family: Family, split_value: str) -> None:
        self._index = index
        self._histogram = family.type == "histogram"
        self._shown: list[dict[str, str]] = []
        found: dict[tuple[str, ...], int] = {}
        rows: list[tuple[int, int, bool]] = []
        for place, given in enumerate(index.labels):
            if family.covers(given):
                labels = family.shown(given)
                if family.split:
                    labels[family.split[0]] = split_value
                series = found.setdefault(tuple(labels.values()), len(found))
                if series == len(self._shown):
                    self._shown.append(labels)
                rows.append((place, series, family.counts(given)))
        self._covered, self._series, counts = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        self._counts = counts.astype(bool)
        self.group = lru_cache(maxsize=MAX_GROUPS)(self._group)

    def _group(self, matchers: tuple[Matcher, ...], workspaces: frozenset[str] | None) -> Group:
        """Those that pass the matchers of labels and belong to the workspaces (None: all), grouped by the labels
        shown."""
        checked = [one for one in matchers if one.name != "le" or not self._histogram]
        passing = [all(one.matches(labels.get(one.name, "")) for one in checked) for labels in self._shown]
        keep = np.array(passing, dtype=bool)[self._series]
        if workspaces is not None:
            labels = self._index.labels
            keep &= np.array([labels[place].get("workspace") in workspaces for place in self._covered], dtype=bool)
        covered, counts = self._covered[keep], self._counts[keep]
        rows, series_of = np.unique(self._series[keep], return_inverse=True)
        shown = LabelSets({name: value for name, value in self._shown[row].items() if value} for row in rows)
        return Group(shown, self._index.ids[covered[counts]], series_of[counts], covered, series_of)


EMPTY = SeriesIndex(np.zeros(0, dtype=np.int64), [], np.zeros(0, dtype=np.int64))
_known: ProcessCache[str, SeriesIndex] = ProcessCache()


def sizes_query(kinds: Iterable[str]) -> str:
    """SQL that answers how many dimensions of each kind there are, and the newest: text for `sizes_read`."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return (
        "SELECT coalesce(json_object_agg(kind, json_build_array(count, newest)), '{}')::text FROM (SELECT kind,"  # noqa: S608 - only names of our own; values are parameters
        " count(*) AS count,"
        f" max(id) AS newest FROM usage_dimension WHERE kind IN ({listed}) GROUP BY kind) AS kinds"
    )


def sizes_read(text: str) -> Sizes:
    """How many dimensions of each kind there are, and the newest."""
    return msgspec.json.decode(text, type=dict[str, tuple[int, int]])


def series_index(cursor: CursorWrapper, kind: str, sizes: Sizes) -> SeriesIndex:
    """The dimensions of a kind that the cursor's transaction sees, where there are that many."""
    count, newest = sizes.get(kind, (0, 0))
    known = _known.get(kind) or EMPTY
    if not is_whole(known, count, newest):
        known = extended(cursor, kind, known)
        # Of ids that were taken back (a transaction undone, a database restored), or that this snapshot does not see
        # yet.
        if not is_whole(known, count, newest):
            known = extended(cursor, kind, EMPTY)
        _known.keep({kind: known})
    return known


def is_whole(known: SeriesIndex, count: int, newest: int) -> bool:
    """Whether these are as many as there are, up to the newest. Dimensions of a kind are made one transaction after the
    other (usage.store.dimensions), so that a smaller id never comes later."""
    return len(known.ids) == count and (not count or int(known.ids[-1]) == newest)


def extended(cursor: CursorWrapper, kind: str, known: SeriesIndex) -> SeriesIndex:
    """What is known and the dimensions after it."""
    cursor.execute(
        "SELECT id, labels::text, extract(epoch FROM first_at)::bigint FROM usage_dimension WHERE kind = %s AND id >"
        " %s ORDER BY id",
        [kind, int(known.ids[-1]) if len(known.ids) else 0],
    )
    rows = cursor.fetchall()
    ids, first = np.array([(row[0], row[2]) for row in rows], dtype=np.int64).reshape(-1, 2).T
    labels = [msgspec.json.decode(text, type=dict[str, str]) for _, text, _ in rows]
    return SeriesIndex(
        np.concatenate([known.ids, ids]),
        [*known.labels, *labels],
        np.concatenate([known.first_at, first]),
        known.lineage if known.labels else object(),
    )
