"""A row per MCP tool over a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.ui.numbers import count, percent, seconds
from core.ui.time_range import TimeRange
from usage.boards.queries import Rollups, quantile
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
    counts, buckets = sums.of("count")[:, 0], sums.buckets("duration")[:, 0]
    members: dict[tuple[str, str], list[int]] = {}
    for place, (server, tool, _) in enumerate(sums.groups):
        members.setdefault((server, tool), []).append(place)
    found = []
    for (server, tool), places in members.items():
        calls = float(counts[places].sum())
        good = float(sum(counts[place] for place in places if sums.groups[place][2] == "success"))
        durations = buckets[places].sum(axis=0)
        p50, p95, p99 = (quantile(q, TOOL_BUCKETS, durations) for q in (0.5, 0.95, 0.99))
        if calls:
            found.append(ToolRow(server, tool, calls, 100 * (1 - good / calls), p50, p95, p99))
    wanted = sort if sort in SORTS else "p95"
    return sorted(found, key=lambda row: row.sort_key(wanted))
