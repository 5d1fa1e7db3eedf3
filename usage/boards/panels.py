"""Evaluates the queries of a panel over a source of series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

import promql
from core.ui.numbers import SPACE
from core.ui.time_range import TimeRange
from promql import Result, Source
from usage.boards.declarations import Panel, Ranking, expand
from usage.series.counted import counted

DRAWN = 8
# A no-break space, as no value of a label has at its end.
OTHERS = f"{SPACE}others"


def folded(panel: Panel, source: Source, time_range: TimeRange, workspaces: frozenset[str] | None) -> Source:
    """The source in which all but the largest series of the panel are one; the source itself where there are few, or
    where another server evaluates.

    Which are the largest in these workspaces (None: all) changes with the steps of the range only, and is the same for
    all who ask.
    """
    ranking = panel.ranking
    if ranking is None or isinstance(source, promql.Engine):
        return source
    start, end = (ms // time_range.step_ms * time_range.step_ms for ms in (time_range.start_ms, time_range.end_ms))
    fold = fold_of(ranking, counted(ranking.counters, ranking.by, workspaces, start, end))
    return promql.FoldedSource(source, fold) if fold is not None else source


def fold_of(ranking: Ranking, sizes: Mapping[tuple[str, ...], float]) -> promql.Fold | None:
    """The fold that keeps the largest; None where there are few."""
    if len(sizes) <= ranking.drawn:
        return None
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[: ranking.drawn]
    return promql.Fold(ranking.by, frozenset(largest), f"{len(sizes) - ranking.drawn:,}{OTHERS}")


def evaluate(panel: Panel, source: Source, time_range: TimeRange) -> list[Result]:
    """The answers to the panel's queries, in their order, of one state of the data: over the range, for a matrix at its
    end. Raises promql.PromQLError."""
    with promql.snapshot_of(source) as state:
        return _evaluate(panel, state, time_range)


def _evaluate(panel: Panel, source: Source, time_range: TimeRange) -> list[Result]:
    step = time_range.step_for(panel.points) if panel.points else time_range.step_ms
    window = time_range.rate_window(step)
    queries = [expand(query.expr, window, time_range.window) for query in panel.queries]
    if panel.chart == "matrix":
        return [promql.instant(query, source, time_range.end_ms) for query in queries]
    # Points on multiples of the step: they do not move between two looks.
    start = -(-time_range.start_ms // step) * step
    end = max(time_range.end_ms // step * step, start)
    if panel.chart == "bars" and end < time_range.end_ms:
        # The bar under way: it has what happened so far, and grows to its end.
        end += step
    results = [promql.range(query, source, start, end, step) for query in queries]
    if panel.chart == "bars" or end >= time_range.end_ms:
        return results
    # One more point at the very end, so that what has just happened is there.
    last = [promql.instant(query, source, time_range.end_ms) for query in queries]
    return [joined(result, latest) for result, latest in zip(results, last, strict=True)]


def joined(result: Result, latest: Result) -> Result:
    """A range's answer with the answer at one later time as its last column; series are matched by their labels."""
    rows = {tuple(sorted(labels.items())): row for row, labels in enumerate(result.labels)}
    labels = list(result.labels)
    column: dict[int, float] = {}
    for given, values, present in zip(latest.labels, latest.values, latest.present, strict=True):
        row = rows.setdefault(tuple(sorted(given.items())), len(labels))
        if row == len(labels):
            labels.append(given)
        if present[-1]:
            column[row] = float(values[-1])
    shape = (len(labels), len(result.times) + 1)
    values, present = np.zeros(shape), np.zeros(shape, dtype=bool)
    values[: len(result.labels), :-1], present[: len(result.labels), :-1] = result.values, result.present
    for row, value in column.items():
        values[row, -1], present[row, -1] = value, True
    times = np.append(result.times, latest.times[-1:])
    return replace(result, labels=labels, times=times, values=values, present=present)
