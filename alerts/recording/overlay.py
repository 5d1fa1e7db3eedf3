"""What the recording rules of a tick have found but not yet written, laid over a source:
rules that come later read it."""

from __future__ import annotations

from collections.abc import Sequence

import promql
from promql import Block, Hints, Matcher


class Overlay:
    """A source whose series go on with samples in memory. A series has its samples from
    both, and where both have one, the newer."""

    def __init__(self, inner: promql.Source, recorded: Sequence[tuple[dict[str, str], int, float]]) -> None:
        self._inner = inner
        self._recorded = list(recorded)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        """The series that match, as in the other source and with what was recorded since."""
        mine = [
            (labels, at, value)
            for labels, at, value in self._recorded
            if start_ms <= at <= end_ms and all(one.matches(labels.get(one.name, "")) for one in matchers)
        ]
        blocks = self._inner.select(matchers, start_ms, end_ms, hints)
        if not mine:
            return blocks
        series = promql.MemorySource()
        for block in blocks:
            for row, labels in enumerate(block.labels):
                kept = slice(None) if block.present is None else block.present[row]
                series.add(labels, block.times[kept], block.values[row][kept])
        for labels, at, value in mine:
            series.add(labels, [at], [value])
        return series.select(matchers, start_ms, end_ms, hints)
