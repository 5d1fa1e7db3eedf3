"""6 series: sums of measures by groups of label sets, whose finished spans the process remembers.

What pages show of a day or a month changes at its end only. A span that has chunks (5 minutes, an hour) is one that no
record came to since they were written, and each time they are written they have another version; so the sums of a span
are kept under its version, and a late record needs no other care: its span is read again, and only that. Days are sums
of 24 hours. Groups are numbered in the order in which their first label set came, so that new ones only lengthen the
arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from core.process_cache import BoundedCache
from promql.values import Floats, Ints
from usage.catalog.grains import COARSE, FINE, MIDDLE, Grain
from usage.series.grid import Segment
from usage.series.index import Group
from usage.series.reading import Counters, Reading, Stretch, Tables
from usage.store import chunks

MAX_BYTES = 32 * 2**20
ENTRY_BYTES = 600  # what a span takes besides its numbers: its key and the arrays' own
DAY = 86_400
# At most so many numbers of spans that are read at once.
READ_CELLS = 4_000_000

Narrow = NDArray[Any]


class Places(NamedTuple):
    """Where a measure is: its first column in the sums, its offset in the rollups' arrays, and its width."""

    column: int
    offset: int
    width: int


class Span(NamedTuple):
    """A finished stretch of time: the grain it is read from, its start and length (epoch seconds), its version, and
    the step that it is counted in."""

    grain: Grain
    start: int
    seconds: int
    version: Hashable
    step: int


class Known(NamedTuple):
    """The sums of a span: an array [groups, width] for each measure, in the narrowest type that holds them."""

    version: Hashable
    sums: tuple[Narrow, ...]


@dataclass(frozen=True)
class Steps:
    """Steps of equal length (ms) from `start_ms`, so many of them."""

    start_ms: int
    step_ms: int
    count: int

    def of(self, at: Any) -> Any:
        """The step of a bucket that starts at these epoch seconds; that under way at the start counts in the first."""
        return np.maximum((at * 1000 - self.start_ms) // self.step_ms, 0)


_known: BoundedCache[Hashable, Known] = BoundedCache(
    MAX_BYTES, lambda one: ENTRY_BYTES + sum(part.nbytes for part in one.sums)
)


@dataclass(frozen=True)
class GroupSums:
    """Sums of some measures of a kind by the groups of `members`; `identity` says which these are."""

    cursor: CursorWrapper
    tables: Tables
    kind: str
    members: Group
    groups: int
    measures: Sequence[Places]
    identity: Hashable

    def over(self, parts: Iterable[Segment], steps: Steps) -> Floats:
        """The sums [step, group, column] of what is in the parts."""
        sums = np.zeros((steps.count, self.groups, sum(one.width for one in self.measures)))
        spans, rest = self._divided(list(parts), steps)
        for span, known in self._of(spans):
            for place, found in zip(self.measures, known, strict=True):
                sums[span.step, : len(found), place.column : place.column + place.width] += found
        self._read(rest, lambda starts: steps.of(starts), sums)
        return sums

    def _divided(self, parts: list[Segment], steps: Steps) -> tuple[list[Span], list[Segment]]:
        """The finished spans that lie in one step each, and what is left."""
        spans: list[Span] = []
        rest: list[Segment] = []
        for part in parts:
            form = chunks.form_of(part.grain)
            usable, at = self.tables.chunked[form], part.start
            found: list[Span] = []
            for start in range(-(-part.start // form.span) * form.span, part.end - form.span + 1, form.span):
                step = int(steps.of(start))
                last = int(steps.of(start + form.span - form.grain.seconds if part.grain is FINE else start))
                if start in usable and step == last < steps.count:
                    if at < start:
                        rest.append(Segment(part.grain, at, start))
                    grain = COARSE if form is chunks.HOURS else MIDDLE
                    found.append(Span(grain, start, form.span, usable[start], step))
                    at = start + form.span
            if at < part.end:
                rest.append(Segment(part.grain, at, part.end))
            spans += found if form is chunks.MINUTES else days_of(found)
        return spans, rest

    def _of(self, spans: list[Span]) -> Iterator[tuple[Span, Sequence[Narrow]]]:
        """Each span with its sums, those that are not known read and remembered."""
        key = {span: (self.identity, span.start, span.seconds) for span in spans}
        known = _known.known(key.values())
        missing = []
        for span in spans:
            found = known.get(key[span])
            if found is not None and found.version == span.version:
                yield span, found.sums
            else:
                missing.append(span)
        width = self.groups * sum(one.width for one in self.measures)
        at_once = max(1, READ_CELLS // max(width, 1))
        for first in range(0, len(missing), at_once):
            some = missing[first : first + at_once]
            for span, sums in zip(some, self._read_spans(some), strict=True):
                _known.keep({key[span]: Known(span.version, sums)})
                yield span, sums

    def _read_spans(self, spans: list[Span]) -> Iterator[tuple[Narrow, ...]]:
        starts = np.array([span.start for span in spans])
        sums = np.zeros((len(spans), self.groups, sum(one.width for one in self.measures)))
        order = np.argsort(starts, kind="stable")
        place_of = lambda at: order[np.searchsorted(starts[order], at, side="right") - 1]  # noqa: E731 - one expression
        self._read([Segment(span.grain, span.start, span.start + span.seconds) for span in spans], place_of, sums)
        for own in sums:
            yield tuple(narrowest(own[:, place.column : place.column + place.width]) for place in self.measures)

    def _read(self, parts: list[Segment], step_of: Callable[[Ints], Ints], sums: Floats) -> None:
        """Add what is in the parts to the sums [step, group, column]."""
        parts = merged(parts)
        if not parts:
            return
        starts = np.concatenate([one.start + one.width * np.arange(one.buckets) for one in parts])
        step = step_of(starts)
        first = np.cumsum([0, *(one.buckets for one in parts)])
        stretches = [Stretch(one, int(at), one.buckets) for one, at in zip(parts, first, strict=False)]
        reading = Reading(self.cursor, stretches, starts, self.tables.chunked)
        flat = sums.reshape(-1)
        for place in self.measures:
            counters = Counters(self.kind, self.members, place.offset, place.width, self.tables.dimensions)
            for found in reading.entries(counters):
                at = step[found.column]
                inside = at < len(sums)
                cell = (at * self.groups + found.series) * sums.shape[2] + place.column + found.cell
                np.add.at(flat, cell[inside], found.value[inside])


def merged(parts: Iterable[Segment]) -> list[Segment]:
    """The parts in their order, neighbours of one grain as one."""
    found: list[Segment] = []
    for part in sorted(parts, key=lambda one: one.start):
        if found and found[-1].end == part.start and found[-1].grain is part.grain:
            found[-1] = Segment(part.grain, found[-1].start, part.end)
        else:
            found.append(part)
    return found


def days_of(hours: list[Span]) -> list[Span]:
    """The hours, those that make a whole day of one step as one."""
    by_day: dict[int, list[Span]] = {}
    for hour in hours:
        by_day.setdefault(hour.start // DAY, []).append(hour)
    found = []
    for day, own in by_day.items():
        if len(own) == 24 and own[0].step == own[-1].step:
            version = tuple(hour.version for hour in own)
            found.append(Span(COARSE, day * DAY, DAY, version, own[0].step))
        else:
            found += own
    return found


def narrowest(values: Floats) -> Narrow:
    """A copy in the narrowest type that holds the same numbers."""
    top = float(values.max(initial=0.0))
    if top < 2**32 and values.min(initial=0.0) >= 0 and not (values % 1).any():
        return values.astype(np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.uint32)
    return values.copy()
