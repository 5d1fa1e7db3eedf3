"""A source for the many rules of one tick: what one of them reads, the others share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
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
        self.whole: dict[object, list[promql.Block]] = {}

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
                self.whole[place] = self._read(names, start_ms, end_ms, hints)
            self.exact[selection] = filtered(self.whole[place], matchers)
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


def filtered(blocks: list[promql.Block], matchers: Sequence[promql.Matcher]) -> list[promql.Block]:
    """The series of the blocks that match."""
    found = []
    for block in blocks:
        rows = [
            row
            for row, labels in enumerate(block.labels)
            if all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)
        ]
        if len(rows) == len(block.labels):
            found.append(block)
        elif rows:
            index = np.array(rows)
            present = None if block.present is None else block.present[index]
            found.append(promql.Block([block.labels[row] for row in rows], block.times, block.values[index], present))
    return found
