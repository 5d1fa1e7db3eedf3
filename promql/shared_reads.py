"""A source for many queries of one moment: what one of them reads, the others share."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from promql.engine import engine_of
from promql.labels import METRIC_NAME, Labels, LabelSets, Matcher, derive
from promql.parse import Query
from promql.source import Block, Hints, Part, Source, SumNeed, sums_of
from promql.values import Bools, Ints

Guard = Callable[[], AbstractContextManager[object]]


def share_reads(source: Source, queries: Iterable[Query] = (), guard: Guard = nullcontext) -> Source:
    """The source for these queries, and others of the same moment. An engine evaluates each query itself: it has no
    reads to share.

    `guard` is entered around each read, so that one that fails can be undone alone.
    """
    return source if engine_of(source) is not None else SharedReads(source, queries, guard)


class SharedReads:
    """Remembers what another source answered, for as long as its data are to stay as they are: a tick of rules, a page.

    Where several of the queries select different series of a metric over the same range, all its series are read once,
    and each selection is taken from these. A metric that no query was announced for is read whole from its second
    selection on. A single narrow query reads only what it needs.
    """

    def __init__(self, inner: Source, queries: Iterable[Query] = (), guard: Guard = nullcontext) -> None:
        self._inner = inner
        self._guard = guard
        self._selections: dict[object, list[Block]] = {}
        self._read_narrowly: set[object] = set()
        self._metrics: dict[object, Metric] = {}
        self._sums: dict[SumNeed, Block | None] = {}
        announced = defaultdict(set)
        for query in queries:
            for matchers, range_ms in query.selectors:
                announced[name_matchers(matchers), range_ms].add(matchers)
        self._read_whole = {place for place, selections in announced.items() if len(selections) > 1}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """As the other source. The hints of what is done with the samples are left out: queries that differ in that
        alone share."""
        hints = replace(hints, func="", grouping=None, by=False)
        names = name_matchers(matchers)
        place = (names, start_ms, end_ms, hints)
        selection = (tuple(matchers), place)
        if selection in self._selections:
            return self._selections[selection]
        if place in self._metrics or place in self._read_narrowly or (names, hints.range_ms) in self._read_whole:
            if place not in self._metrics:
                self._metrics[place] = Metric(self._read(names, start_ms, end_ms, hints))
            self._selections[selection] = self._metrics[place].select(tuple(matchers))
        else:
            self._read_narrowly.add(place)
            self._selections[selection] = self._read(matchers, start_ms, end_ms, hints)
        return self._selections[selection]

    def summed(self, need: SumNeed) -> Block | None:
        """As the other source, but where several selections of the metric share its samples."""
        if (name_matchers(need.matchers), need.range_ms) in self._read_whole:
            return None
        if need not in self._sums:
            with self._guard():
                self._sums[need] = sums_of(self._inner, need)
        return self._sums[need]

    def _read(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        with self._guard():
            return self._inner.select(matchers, start_ms, end_ms, hints)


def name_matchers(matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """The matchers of the metric's name."""
    return tuple(matcher for matcher in matchers if matcher.name == METRIC_NAME)


class LabelValues:
    """The values of one label over the series of a block: the distinct ones, and which of them each series has."""

    def __init__(self, labels: Sequence[Labels], name: str) -> None:
        places: dict[str, int] = {}
        self.of_row = np.array([places.setdefault(row.get(name, ""), len(places)) for row in labels], dtype=np.int64)
        self.distinct = list(places)

    def matching(self, matcher: Matcher) -> Bools:
        """Which series match; each distinct value is looked at once."""
        return np.array([matcher.matches(value) for value in self.distinct], dtype=bool)[self.of_row]


class Metric:
    """All series of a metric, from which selections by labels are taken."""

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self._values: dict[tuple[int, str], LabelValues] = {}
        self._results: list[dict[Hashable, Any]] = [{} for _ in blocks]

    def select(self, matchers: tuple[Matcher, ...]) -> list[Block]:
        """The series that match."""
        found = []
        for place, block in enumerate(self._blocks):
            # A source gives the same labels again while its series are the same; what was selected of them stays valid.
            rows, labels = derive(block.labels, matchers, partial(self._select_rows, place, matchers))
            if len(rows):
                present = None if block.present is None else block.present[rows]
                part = Part(block, rows, self._results[place])
                found.append(Block(labels, block.times, block.values[rows], present, part))
        return found

    def _select_rows(self, place: int, matchers: tuple[Matcher, ...]) -> tuple[Ints, list[Labels]]:
        labels = self._blocks[place].labels
        keep = np.ones(len(labels), dtype=bool)
        for matcher in matchers:
            if (place, matcher.name) not in self._values:
                self._values[place, matcher.name] = LabelValues(labels, matcher.name)
            keep &= self._values[place, matcher.name].matching(matcher)
        rows = np.flatnonzero(keep)
        return rows, LabelSets(labels[row] for row in rows.tolist())
