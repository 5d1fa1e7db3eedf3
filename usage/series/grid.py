"""6 series: which grains of the rollups answer a selector, and how their sums become samples on one grid of times.

The portal's counters behave as if a server scraped them every 15 s: a sample at t has all that happened before t. What
was read as sums per bucket is cumulated at the buckets' ends (the knots) and read off on the grid; between the knots of
a coarse grain a counter grows evenly, so that a coarse answer differs from the fine one by no more than that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from promql.values import Floats, Ints
from usage.catalog.grains import COARSE, FINE, MIDDLE, Grain
from usage.store.watermark import Watermark

SCRAPE = FINE.seconds
SETTLED = 420  # seconds after which a 5-minute bucket has been downsampled, ample for a task that runs every minute
PIECE, PIECE_BUCKETS = 14_400, 48  # seconds
BEYOND = 86_400  # seconds that a record may lie ahead of now
LONG = 43_200  # spans from here on are read from coarse grains where the window allows it


@dataclass(frozen=True)
class Segment:
    """A stretch of time, in epoch seconds, that one grain answers: buckets from `start`
    (inclusive) to `end` (exclusive)."""

    grain: Grain
    start: int
    end: int

    @property
    def width(self) -> int:
        """Seconds of a bucket."""
        return self.grain.seconds

    @property
    def buckets(self) -> int:
        """How many there are."""
        return len(range(self.start, self.end, self.width))

    def pieces(self) -> Iterator[Segment]:
        """The stretch in parts of at most `PIECE`, so that what is read at once is bounded."""
        at, longest = self.start, max(PIECE, PIECE_BUCKETS * self.width)
        while at < self.end:
            stop = min((at // longest + 1) * longest, self.end)
            yield Segment(self.grain, at, stop)
            at = stop


def grid_step(window: float, span: float) -> int:
    """Seconds between samples of a selector: every scrape, or over a long span a
    twentieth of the window, within reason.

    `window` is the selector's range, or for plain selectors the step; a minute between
    samples is well within the look-back.
    """
    if span < LONG:
        return SCRAPE
    # Over weeks a minute would be tens of thousands of samples for each bucket of a
    # histogram: as many as the window needs do.
    wanted = max(min(window / 20, 60), window / 1440, min(window / 20, span / 4320))
    return max(SCRAPE, int(wanted // SCRAPE) * SCRAPE)


def grid_times(start: int, end: int, step: int) -> Ints:
    """The grid's times within [start, end], multiples of `step`, in epoch seconds."""
    first = -(-start // step) * step
    return np.arange(first, end + 1, step, dtype=np.int64)


def segments(
    start: int, end: int, now: int, window: float, watermark: Watermark, *, long: bool | None = None
) -> list[Segment]:
    """The stretches that cover [start, end), each read from the coarsest grain that is
    kept, settled and fine enough for `window`.

    `window` is the range of the selector in seconds, or for plain selectors the step. Below
    a grain's floor only coarser ones exist. `long` says whether it is part of a long span (None: if it is one).
    """
    long = end - start >= LONG if long is None else long
    until_1h = max(
        watermark.floor_5m, COARSE.start(now - SETTLED) if long and window >= 3 * COARSE.seconds else -np.inf
    )
    until_5m = max(
        watermark.floor_15s, MIDDLE.start(now - SETTLED) if long and window >= 3 * MIDDLE.seconds else -np.inf
    )
    found: list[Segment] = []
    at = start
    for grain, until in ((COARSE, until_1h), (MIDDLE, until_5m), (FINE, np.inf)):
        stop = int(min(max(until, at), end))
        if stop > at:
            found.append(Segment(grain, grain.start(at), stop))
            at = stop
    return found


def after(start: int, now: int, watermark: Watermark) -> list[Segment]:
    """The stretches from `start` (a knot) on to beyond now, none of which reaches back before it."""
    beyond = now + BEYOND
    if now - start < 4 * 3600:
        return [Segment(FINE, start, beyond)]
    minutes, hour = MIDDLE.next_start(start), COARSE.next_start(start)
    near = [Segment(FINE, start, minutes), Segment(MIDDLE, minutes, hour)]
    return [*(one for one in near if one.end > one.start), *segments(hour, beyond, now, np.inf, watermark)]


def without(part: Segment, chunked: Collection[int], span: int) -> list[Segment]:
    """What of a stretch lies outside the chunks (by their starts) that span so many seconds: runs as long as they
    are."""
    runs: list[list[int]] = []
    for start in range(part.start // span * span, part.end, span):
        if start in chunked:
            continue
        if runs and runs[-1][1] == start:
            runs[-1][1] = start + span
        else:
            runs.append([start, start + span])
    return [Segment(part.grain, max(start, part.start), min(end, part.end)) for start, end in runs]


def knots(parts: list[Segment]) -> Ints:
    """The ends of all buckets of the segments, ascending, preceded by the start of the
    first: where cumulated sums are known."""
    ends = [np.arange(part.start, part.end, part.width, dtype=np.int64) + part.width for part in parts]
    return np.concatenate([np.array([parts[0].start], dtype=np.int64), *ends])


def on_grid(cumulated: Floats, at: Ints, times: Ints) -> Floats:
    """Cumulated sums [series, knots] read off at the grid's times, linear between knots and flat beyond them."""
    right = np.clip(np.searchsorted(at, times, side="left"), 0, len(at) - 1)
    if np.array_equal(at[right], times):
        return cumulated[:, right]
    left = np.maximum(right - 1, 0)
    width = np.maximum(at[right] - at[left], 1)
    share = np.clip((times - at[left]) / width, 0.0, 1.0)
    # Never below the left knot nor above the right one, not by the last bit either: a
    # counter that falls has been reset.
    low, high = cumulated[:, left], cumulated[:, right]
    between: Floats = np.minimum(low + (high - low) * share, high)
    return between
