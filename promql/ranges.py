"""Range vectors: the blocks of a range selector or a subquery, and the windows over them at each time."""

from dataclasses import dataclass

import numpy as np

from promql.source import Block
from promql.values import Bools, Ints
from promql.windows import Windows, window_block


@dataclass
class Extended:
    """Windows over the same samples: `outer` with what lies around the range, `inner` the range itself."""

    outer: Windows
    inner: Windows
    smoothed: bool

    @property
    def last(self) -> Ints:
        """The index of the sample at or behind the end of a smoothed range, else of the last one in it."""
        newest = self.outer.stop - 1
        if not self.smoothed:
            return newest
        on_the_edge = (self.inner.stop > self.outer.first) & (
            self.inner.time_at(self.inner.stop - 1) == self.inner.ends
        )
        return np.asarray(np.minimum(np.where(on_the_edge, self.inner.stop - 1, self.inner.stop), newest))

    @property
    def first(self) -> Ints:
        """The index of the last sample at or before the start of the range, where there is one, else of the first in
        it."""
        before = np.minimum(self.inner.first, self.outer.stop - 1) - 1
        return np.asarray(np.maximum(self.outer.first, before))


@dataclass
class RangeVector:
    """`ends` are where the windows end (ms). An extended range sees `lookback_ms` more: before it, a smoothed one also
    behind it."""

    blocks: list[Block]
    range_ms: int
    ends: Ints
    drops_name: Bools | bool = False
    extension: str = ""
    lookback_ms: int = 0

    def windows(self, block: Block, at: Ints) -> Windows | None:
        """The windows of a block at these evaluation times; None where no series has a sample that counts."""
        return window_block(block, at, self.ends, self.range_ms)

    def extended(self, block: Block, at: Ints) -> Extended | None:
        """The windows and what lies around them."""
        behind = self.lookback_ms if self.extension == "smoothed" else 0
        outer = window_block(block, at, self.ends + behind, self.range_ms + self.lookback_ms + behind)
        inner = self.windows(block, at)
        if outer is None or inner is None:
            return None
        return Extended(outer, inner, self.extension == "smoothed")
