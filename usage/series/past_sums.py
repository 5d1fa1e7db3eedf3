"""6 series: the sums of windows that are over, remembered by the process: a chart that is drawn again computes its end.

A column of a sum, what it was at one time, depends on the records before that time. It stays what it is while the
buckets that its window reaches over are not changed, and each change gives their chunks another version
(usage.store.chunks). So a column is kept with a digest of the versions of a day before it. (What was counted still
earlier matters where a series was near 0 only, and then little: what is kept is forgotten after an hour.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np

from core.process_cache import BoundedCache
from promql import Block, LabelSets, SumNeed
from promql.values import Bools, Ints
from usage.catalog.grains import COARSE, FINE, MIDDLE
from usage.series.grid import LONG, SCRAPE, SETTLED
from usage.series.reading import Tables
from usage.store import chunks

MAX_BYTES = 12 * 2**20
MAX_ENTRY_BYTES = MAX_BYTES // 3
SECONDS = 3600.0  # for which a column is remembered
BEFORE = 90_000  # seconds before the first window whose changes matter: a day, and a bucket
DAY = 86_400


@dataclass(frozen=True, eq=False)
class Past:
    """Columns of a sum: their times (ms), versions, and when (monotonic seconds) the oldest of them was computed."""

    block: Block
    versions: Ints
    since: float

    @property
    def bytes(self) -> int:
        """What it takes, about."""
        return 4096 + 9 * self.block.values.size + 400 * len(self.block.labels) + 16 * len(self.versions)


_past: BoundedCache[Hashable, Past] = BoundedCache(MAX_BYTES, lambda one: one.bytes)


def remembered(
    need: SumNeed, who: Hashable, tables: Tables, now: int, compute: Callable[[SumNeed], Block | None]
) -> Block | None:
    """The sums, those of windows that are over from memory where they are known. `compute` makes the others, as part
    of the same span; `who` are those who read, the lineage of the label sets."""
    times = need.times
    finished, whole, versions = versions_at(times, need.range_ms, tables, now)
    if not finished.any():
        return compute(need)
    key = (who, replace(need, start_ms=need.start_ms % need.step_ms, end_ms=0))
    known = _past.known([key]).get(key)
    if known is not None and time.monotonic() - known.since > SECONDS:
        known = None
    valid = np.zeros(len(times), dtype=bool)
    if known is not None:
        place = np.minimum(np.searchsorted(known.block.times, times), len(known.block.times) - 1)
        valid = finished & (known.block.times[place] == times) & (known.versions[place] == versions)
    missing = np.flatnonzero(~valid)
    found = known.block if known is not None else None
    if len(missing):
        first, last = int(times[missing[0]]), int(times[missing[-1]])
        made = compute(replace(need, start_ms=first, end_ms=last))
        if made is None:
            return None
        kept = (times < first) | (times > last)
        found = made if found is None or not kept.any() else beside(found, times[kept], made)
    answer = only(found, times) if found is not None else None
    if answer is None or not len(missing):
        return answer
    lasting = valid | whole
    past = Past(only(answer, times[lasting]), versions[lasting], time.monotonic() if known is None else known.since)
    if past.bytes <= MAX_ENTRY_BYTES and lasting.any():
        _past.keep({key: past})
    return answer


def versions_at(times: Ints, range_ms: int, tables: Tables, now: int) -> tuple[Bools, Bools, Ints]:
    """At which of the times (ms) all that their windows reach over is finished; at which of them all that came later
    is in the grain that is read, too (else what was counted before is off by that); and of what version it is."""
    window, mark = range_ms // 1000, tables.watermark
    span = (int(times[-1]) - int(times[0])) // 1000 + window
    grain = FINE if span < LONG or window < 3 * MIDDLE.seconds else MIDDLE if window < 3 * COARSE.seconds else COARSE
    form = chunks.HOURS if grain is COARSE or times[0] // 1000 - window - DAY < mark.floor_15s else chunks.MINUTES
    width = form.span
    first = (int(times[0]) // 1000 - window - DAY) // width - 1
    count = int(times[-1]) // 1000 // width + 2 - first
    version = np.zeros(count, dtype=np.uint64)
    for start, own in tables.chunked[form].items():
        place = start // width - first
        if 0 <= place < count:
            version[place] = mixed(start, own)
    dirty = np.zeros(count, dtype=np.int64)
    for start in tables.changed:
        if 0 <= start // width - first < count:
            dirty[start // width - first] = 1
    versions, changing = (np.concatenate([[np.zeros(1, one.dtype)[0]], np.cumsum(one)]) for one in (version, dirty))
    ends = times // 1000
    stop = -(-ends // width) - first
    begin = np.maximum((ends - window - grain.seconds) // width - first, 0)
    day = np.maximum(begin - -(-DAY // width), 0)
    settled = {FINE: now - SCRAPE, MIDDLE: MIDDLE.start(now - SETTLED), COARSE: COARSE.start(now - SETTLED)}[grain]
    finished = (ends <= settled) & (changing[stop] == changing[begin])
    whole = finished & ((grain is FINE) | (changing[stop] == changing[max(min(settled // width - first, count), 0)]))
    return finished, whole, (versions[stop] - versions[day]).astype(np.int64)


def mixed(start: int, version: int) -> np.uint64:
    """A number that is another one for each start and version, as far as sums of such numbers tell (splitmix64)."""
    mask = 2**64 - 1
    value = (start * 0x9E3779B97F4A7C15 + version * 0xD1B54A32D192ED03) & mask
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & mask
    return np.uint64(value ^ value >> 31)


def only(block: Block, times: Ints) -> Block:
    """The columns of these times, all of which the block has."""
    if np.array_equal(block.times, times):
        return block
    place = np.searchsorted(block.times, times)
    return Block(
        block.labels, times, block.values[:, place], None if block.present is None else block.present[:, place]
    )


def beside(known: Block, times: Ints, made: Block) -> Block:
    """Some columns of one block with all of another, in the order of their times."""
    known = only(known, times)
    rows = {tuple(sorted(labels.items())): row for row, labels in enumerate(known.labels)}
    labels = list(known.labels)
    places = []
    for own in made.labels:
        row = rows.setdefault(tuple(sorted(own.items())), len(labels))
        if row == len(labels):
            labels.append(own)
        places.append(row)
    order = np.argsort(np.concatenate([times, made.times]), kind="stable")
    values = np.zeros((len(labels), len(order)))
    present = np.zeros(values.shape, dtype=bool)
    for part, at, columns in (
        (known, np.arange(len(known.labels)), slice(0, len(times))),
        (made, np.array(places, dtype=np.int64), slice(len(times), None)),
    ):
        values[at, columns] = part.values
        present[at, columns] = True if part.present is None else part.present
    same = len(labels) == len(known.labels)
    return Block(
        known.labels if same else LabelSets(labels),
        np.concatenate([times, made.times])[order],
        values[:, order],
        present[:, order],
    )
