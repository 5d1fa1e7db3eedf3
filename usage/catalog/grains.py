"""The grains of the rollups: how wide a bucket is, which table holds its rows, and how that is partitioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

from core.pg.partitions import Partitioned

Time = TypeVar("Time")


@dataclass(frozen=True)
class Grain:
    """Rollups of one width. `partition` is their table; buckets are multiples of `seconds` since the Unix epoch."""

    seconds: int
    partition: Partitioned

    @property
    def table(self) -> str:
        """The table's name."""
        return self.partition.table

    def start(self, at: Time) -> Time:
        """The start of the bucket around a time in epoch seconds: of a number, or of each of an array."""
        return cast("Time", cast("Any", at) // self.seconds * self.seconds)

    def next_start(self, at: Time) -> Time:
        """The first start of a bucket that is not before a time in epoch seconds."""
        return cast("Time", -(-cast("Any", at) // self.seconds) * self.seconds)


FINE = Grain(15, Partitioned("usage_rollup_15s"))
MIDDLE = Grain(300, Partitioned("usage_rollup_5m"))
COARSE = Grain(3600, Partitioned("usage_rollup_1h", monthly=True))
GRAINS = (FINE, MIDDLE, COARSE)
