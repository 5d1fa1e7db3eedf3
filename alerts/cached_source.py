"""A source for the many rules of one tick: what one of them reads, the others share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from django.db import transaction

import promql

# promql's own word for the label of the metric's name.
NAME = "__name__"


def shared(source: promql.Source) -> promql.Source:
    """The source for the rules of one tick. An engine evaluates each query itself: nothing of it can be shared."""
    return source if isinstance(source, promql.Engine) else CachedSource(source)


class CachedSource:
    """Remembers what another source answered. Lives for one tick.

    The first selection of a metric and range is read as it is. When a second one asks for other labels of the same, all
    series of the metric are read, and from then on every selection is taken from these: rules over one metric cost two
    reads, however many they are, and a single narrow rule does not read what it does not need.
    """

    def __init__(self, inner: promql.Source) -> None:
        self.inner = inner
        self.exact: dict[object, list[promql.Block]] = {}
        self.narrow: set[object] = set()
        self.whole: dict[object, Whole] = {}

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        """As the other source. How the caller groups the series is no matter here, so that rules can share."""
        hints = replace(hints, grouping=None, by=False)
        names = tuple(matcher for matcher in matchers if matcher.name == NAME)
        place = (names, start_ms, end_ms, hints)
        selection = (tuple(matchers), place)
        if selection in self.exact:
            return self.exact[selection]
        if place in self.whole or place in self.narrow:
            if place not in self.whole:
                self.whole[place] = Whole(self._read(names, start_ms, end_ms, hints))
            self.exact[selection] = self.whole[place].only(matchers)
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


class Values:
    """The values of one label over the series of a block: the distinct ones, and which of them each series has."""

    def __init__(self, labels: Sequence[promql.Labels], name: str) -> None:
        places: dict[str, int] = {}
        self.of_row = np.array([places.setdefault(row.get(name, ""), len(places)) for row in labels], dtype=np.int64)
        self.distinct = list(places)

    def rows(self, matcher: promql.Matcher) -> npt.NDArray[np.bool_]:
        """Which series match; each distinct value is looked at once."""
        return np.array([matcher.matches(value) for value in self.distinct], dtype=bool)[self.of_row]


class Whole:
    """All series of a metric, from which selections by labels are taken."""

    def __init__(self, blocks: list[promql.Block]) -> None:
        self.blocks = blocks
        self.values: dict[tuple[int, str], Values] = {}

    def only(self, matchers: Sequence[promql.Matcher]) -> list[promql.Block]:
        """The series that match."""
        found = []
        for place, block in enumerate(self.blocks):
            keep = np.ones(len(block.labels), dtype=bool)
            for matcher in matchers:
                if (place, matcher.name) not in self.values:
                    self.values[place, matcher.name] = Values(block.labels, matcher.name)
                keep &= self.values[place, matcher.name].rows(matcher)
            if keep.all():
                found.append(block)
            elif keep.any():
                index = np.flatnonzero(keep)
                present = None if block.present is None else block.present[index]
                labels = [block.labels[row] for row in index.tolist()]
                found.append(promql.Block(labels, block.times, block.values[index], present))
        return found
