"""The watermark: one row and one advisory lock that order storing transactions and the tasks that rearrange the tables.

A storing transaction takes the lock shared until it ends, and reads the row of `Watermark`. A task that advances the
watermark takes the lock exclusively: it waits for the storing transactions under way, and later ones read the new row.
So whatever is stored after an advance sees everything that was stored before it. Three things rely on this:

- Event ids that no index of the raw rows covers (see usage.store.writer) go into the current generation and are looked
  up in all generations. An advance starts a new generation, and the old one becomes read-only.
- Coarser grains: an advance claims dirty buckets; a batch stored later lists its buckets again (see
  usage.store.downsampling).
- Retention: rollups older than a grain's floor go to the next coarser grain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.pg.locks import AdvisoryLock
from usage.catalog.grains import GRAINS, Grain

LOCK = AdvisoryLock(7_310_001)


class Watermark(NamedTuple):
    """The watermark's row; floors are epoch seconds, -inf where nothing was dropped yet."""

    generation: int
    floor_15s: float
    floor_5m: float
    floor_1h: float

    @property
    def floors(self) -> tuple[float, ...]:
        """The floor of each grain, finest first."""
        return self[1:]

    def ages(self) -> Iterator[tuple[Grain, float, float]]:
        """Which grain takes rows of which time: from a floor on, up to where a finer grain takes them."""
        ceiling = inf
        for grain, floor in zip(GRAINS, self.floors, strict=True):
            yield grain, floor, ceiling
            ceiling = floor


COLUMNS = (
    "{0}.generation, extract(epoch FROM {0}.floor_15s)::float8, extract(epoch FROM {0}.floor_5m)::float8,"
    " extract(epoch FROM {0}.floor_1h)::float8"
)
READ = f"SELECT {COLUMNS.format('e')} FROM usage_watermark e"  # noqa: S608 - only names of our own; values are parameters


@contextmanager
def advance() -> Iterator[CursorWrapper]:
    """A transaction that may change the watermark and what depends on it. Keep it short: storing waits for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        LOCK.take(cursor)
        yield cursor
