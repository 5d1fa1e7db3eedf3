"""6 series: how much of a counter was counted over a range, by labels: what its increase is without extrapolation, from
sums that the process remembers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from django.db import connection
from django.db.backends.utils import CursorWrapper

from promql import LabelSets, derive
from promql.operators.aggregate import Groups, group_rows
from usage.catalog import BY_SERIES, KINDS
from usage.catalog.grains import COARSE
from usage.series.finished import GroupSums, Places, Steps
from usage.series.grid import SETTLED, Segment, segments
from usage.series.index import Group, series_index
from usage.series.reading import Tables, read_tables


def counted(
    counters: Sequence[tuple[str, float]],
    by: tuple[str, ...],
    workspaces: frozenset[str] | None,
    start_ms: int,
    end_ms: int,
) -> dict[tuple[str, ...], float]:
    """What was counted from `start_ms` to `end_ms` in these workspaces (None: all), by the values of labels: the sum of
    some counters (names of series, not of buckets), each times its weight."""
    now, found = int(time.time()), dict[tuple[str, ...], float]()
    with connection.cursor() as cursor:
        tables = read_tables(cursor, start_ms // 1000, now)
        parts = stretches(start_ms // 1000, -(-end_ms // 1000), now, tables)
        for name, weight in counters:
            for groups, of_name in sums_of(cursor, tables, name, by, workspaces):
                steps = Steps(start_ms, max(end_ms - start_ms, 1), 1)
                amounts = of_name.over(parts, steps)[0].sum(axis=1).tolist()
                for labels, amount in zip(groups.labels, amounts, strict=True):
                    key = tuple(labels.get(label, "") for label in by)
                    found[key] = found.get(key, 0.0) + weight * amount
    return found


def sums_of(
    cursor: CursorWrapper, tables: Tables, name: str, by: tuple[str, ...], workspaces: frozenset[str] | None
) -> Iterator[tuple[Groups, GroupSums]]:
    """The groups of the series of a counter, and their sums; for each value of a label that splits it."""
    family = BY_SERIES[name]
    kind, index = KINDS[family.kind], series_index(cursor, family.kind, tables.sizes)
    for value, measure in (family.split[1] if family.split else {"": family.measure}).items():
        series = index.family(family, value).group((), workspaces)
        groups = grouped(series.labels, by)
        histogram = kind.observed.get(measure)
        cells = len(histogram.buckets) + 1 if histogram and name.endswith("_count") else 1
        place = Places(0, kind.offsets[measure] + (cells > 1), cells)
        own = Group(series.labels, series.ids, groups.of_row[series.series], series.covered, series.series_of)
        identity = (name, value, index.lineage, workspaces, by)
        yield groups, GroupSums(cursor, tables, kind.name, own, len(groups.labels), [place], identity)


def grouped(shown: LabelSets, by: tuple[str, ...]) -> Groups:
    """The groups of series."""
    return derive(shown, ("groups", True, by), lambda: group_rows(shown, True, by))


def stretches(start: int, end: int, now: int, tables: Tables) -> list[Segment]:
    """What covers the time (epoch seconds): full hours where they are over, and around them the finest grain."""
    first, last = COARSE.next_start(start), COARSE.start(min(end, now - SETTLED))
    if last <= first:
        return segments(start, end, now, 900, tables.watermark)
    edges = [edge for edge in ((start, first), (last, end)) if edge[0] < edge[1]]
    around = [segments(*edge, now, 0, tables.watermark) for edge in edges]
    return [Segment(COARSE, first, last), *(one for parts in around for one in parts)]
