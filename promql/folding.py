"""A source in which the groups that nobody looks at are one: a chart draws the largest and the others together.

All queries over it see the others as one more value of the labels, so that a ratio or a
quantile of theirs is the true one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from promql.labels import Matcher
from promql.source import Block, Fold, Hints, Source, SumNeed, snapshot_of, sums_of


class FoldedSource:
    """Another source, folded. Queries must sum by all of the fold's names: without that,
    series would have the same labels."""

    def __init__(self, inner: Source, fold: Fold) -> None:
        self._inner, self._fold = inner, fold

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """As the other source, under folded labels."""
        found = self._inner.select(matchers, start_ms, end_ms, hints)
        return [
            Block([self._fold.folded(row) for row in block.labels], block.times, block.values, block.present)
            for block in found
        ]

    def summed(self, need: SumNeed) -> Block | None:
        """As the other source, which folds before it sums; a sum that shows none of the names is the same without."""
        names = set(self._fold.names)
        if not need.by or (names & set(need.grouping) and not names <= set(need.grouping)):
            return None
        if names.isdisjoint(need.grouping):
            return sums_of(self._inner, need)
        return sums_of(self._inner, replace(need, fold=self._fold))

    @contextmanager
    def snapshot(self) -> Iterator["FoldedSource"]:
        """The same while the other source does not change."""
        with snapshot_of(self._inner) as state:
            yield FoldedSource(state, self._fold)
