"""A row per MCP tool over a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.ui.numbers import count, percent, seconds
from core.ui.time_range import TimeRange
from usage.boards.queries import Rollups, quantiles
from usage.catalog import TOOL_BUCKETS

SORTS = ("tool", "calls", "failed", "p95")


@dataclass(frozen=True)
class ToolRow:
    """What one tool of one server did; `failed` is percent."""

    server: str
    tool: str
    calls: float
    failed: float
    p50: float
    p95: float
    p99: float

    @property
    def shown(self) -> dict[str, str]:
        """Its figures as formatted text."""
        quantiles = {name: seconds(getattr(self, name)) for name in ("p50", "p95", "p99")}
        return {"calls": count(self.calls), "failed": percent(self.failed), **quantiles}

    def sort_key(self, by: str) -> tuple[bool, float, str, str]:
        """Largest first, unknown last, names in their order."""
        value = 0.0 if by == "tool" else -float(getattr(self, by))
        return (math.isnan(value), value, self.server, self.tool)


def rows(rollups: Rollups, time_range: TimeRange, sort: str) -> list[ToolRow]:
    """A row per server and tool with calls in the range, sorted by one of `SORTS` (else by p95)."""
    by = ("server_id", "tool_name", "outcome")
    sums = rollups.sums(("count", "duration"), by, time_range.start_ms, time_range.end_ms)
    counts = sums.of("count")[:, 0]
    places: dict[tuple[str, str], int] = {}
    place = np.array([places.setdefault((group[0], group[1]), len(places)) for group in sums.groups], dtype=np.int64)
    good = np.array([group[2] == "success" for group in sums.groups], dtype=bool)
    calls = np.bincount(place, counts, len(places))
    succeeded = np.bincount(place, counts * good, len(places))
    durations = np.zeros((len(places), len(TOOL_BUCKETS) + 1))
    np.add.at(durations, place, sums.buckets("duration")[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        failed = 100 * (1 - succeeded / calls)
    columns = (calls, failed, *(quantiles(share, TOOL_BUCKETS, durations) for share in (0.5, 0.95, 0.99)))
    found = [
        ToolRow(server, tool, *row)
        for (server, tool), row in zip(places, np.column_stack(columns).tolist(), strict=True)
        if row[0]
    ]
    wanted = sort if sort in SORTS else "p95"
    return sorted(found, key=lambda row: row.sort_key(wanted))
