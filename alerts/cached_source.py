"""A source for the many rules of one tick: what one of them reads, the others share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import transaction

import promql

# promql's own word for the label of the metric's name.
NAME = "__name__"


def shared(source: promql.Source, queries: Iterable[promql.Query] = ()) -> promql.Source:
    """The source for the rules of one tick with these queries. An engine evaluates each query itself: nothing of it can be shared."""
    return source if isinstance(source, promql.Engine) else CachedSource(source, queries)


class CachedSource:
    """Remembers what another source answered. Lives for one tick.

    Where several of the queries select different labels of a metric over a range, all its series are read once, and every
    selection is taken from these; so is each from the second on of queries that were not foreseen. A single narrow rule does
    not read what it does not need.
    """

    def __init__(self, inner: promql.Source, queries: Iterable[promql.Query] = ()) -> None:
        self.inner = inner
        self.exact: dict[object, list[promql.Block]] = {}
        self.narrow: set[object] = set()
        self.whole: dict[object, Whole] = {}
        foreseen = defaultdict(set)
        for query in queries:
            for matchers, range_ms in query.selectors:
                foreseen[names_of(matchers), range_ms].add(matchers)
        self.several = {place for place, selections in foreseen.items() if len(selections) > 1}

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        """As the other source. What is done with the samples is no matter here, so that rules can share."""
        hints = replace(hints, func="", grouping=None, by=False)
        names = names_of(matchers)
        place = (names, start_ms, end_ms, hints)
        selection = (tuple(matchers), place)
        if selection in self.exact:
            return self.exact[selection]
        if place in self.whole or place in self.narrow or (names, hints.range_ms) in self.several:
            if place not in self.whole:
                self.whole[place] = Whole(self._read(names, start_ms, end_ms, hints))
            self.exact[selection] = self.whole[place].only(tuple(matchers))
        else:
            self.narrow.add(place)
            self.exact[selection] = self._read(matchers, start_ms, end_ms, hints)
        return self.exact[selection]

    def _read(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        """A read that fails is undone alone, so that the transaction around it stays usable."""
        with transaction.atomic():
            return self.inner.select(matchers, start_ms, end_ms, hints)


def names_of(matchers: Sequence[promql.Matcher]) -> tuple[promql.Matcher, ...]:
    """The matchers of the metric's name."""
    return tuple(matcher for matcher in matchers if matcher.name == NAME)


class Values:
    """The values of one label over the series of a block: the distinct ones, and which of them each series has."""

    def __init__(self, labels: Sequence[promql.Labels], name: str) -> None:
        places: dict[str, int] = {}
        self.of_row = np.array([places.setdefault(row.get(name, ""), len(places)) for row in labels], dtype=np.int64)
        self.distinct = list(places)

    def rows(self, matcher: promql.Matcher) -> npt.NDArray[np.bool_]:
        """Which series match; each distinct value is looked at once."""
        return np.array([matcher.matches(value) for value in self.distinct], dtype=bool)[self.of_row]


Selected = tuple[npt.NDArray[np.int64], list[promql.Labels]]


class Whole:
    """All series of a metric, from which selections by labels are taken."""

    def __init__(self, blocks: list[promql.Block]) -> None:
        self.blocks = blocks
        self.values: dict[tuple[int, str], Values] = {}
        self.results: list[dict[Hashable, Any]] = [{} for _ in blocks]

    def only(self, matchers: tuple[promql.Matcher, ...]) -> list[promql.Block]:
        """The series that match."""
        found = []
        for place, block in enumerate(self.blocks):
            # Series are the same at most ticks, and what is remembered with them stays.
            rows, labels = promql.derive(block.labels, matchers, partial(self._selected, place, matchers))
            if len(rows):
                present = None if block.present is None else block.present[rows]
                part = promql.Part(block, rows, self.results[place])
                found.append(promql.Block(labels, block.times, block.values[rows], present, part))
        return found

    def _selected(self, place: int, matchers: tuple[promql.Matcher, ...]) -> Selected:
        labels = self.blocks[place].labels
        keep = np.ones(len(labels), dtype=bool)
        for matcher in matchers:
            if (place, matcher.name) not in self.values:
                self.values[place, matcher.name] = Values(labels, matcher.name)
            keep &= self.values[place, matcher.name].rows(matcher)
        rows = np.flatnonzero(keep)
        return rows, promql.LabelSets(labels[row] for row in rows.tolist())
