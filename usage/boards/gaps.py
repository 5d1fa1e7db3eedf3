"""Stretches of time in which usage was missing: coverage of a model below the target."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core.ui.numbers import count, percent
from core.ui.time_range import MINUTE, TimeRange
from promql.values import Bools, Floats, Ints
from usage.boards.declarations import COVERAGE_TARGET
from usage.boards.queries import Rollups

STEPS = 200
# With fewer calls in a step one of them would make a gap.
FEWEST = 10


@dataclass(frozen=True)
class Gap:
    """One stretch: from `start` to `end` (UTC), with the calls that carried no usage. `is_open`: nothing good came
    since."""

    provider: str
    model: str
    start: datetime
    end: datetime
    is_open: bool
    lowest: float
    missing: float

    @property
    def shown(self) -> dict[str, str]:
        """Its figures as formatted text."""
        return {"lowest": percent(self.lowest), "missing": count(self.missing)}


def gaps(rollups: Rollups, time_range: TimeRange, most: int = 50) -> list[Gap]:
    """The gaps of a range, the open ones first, then the newest."""
    step = max(time_range.step_for(STEPS), 5 * MINUTE)
    start_ms = time_range.start_ms // step * step
    sums = rollups.sums(("count",), ("provider", "model", "usage"), start_ms, time_range.end_ms, step)
    counts = sums.of("count")
    usage: dict[tuple[str, str], dict[str, Floats]] = {}
    for (provider, model, outcome), row in zip(sums.groups, counts, strict=True):
        usage.setdefault((provider, model), {})[outcome] = row
    nothing = np.zeros(counts.shape[1])
    found: list[Gap] = []
    for (provider, model), by in usage.items():
        good, bad = by.get("success", nothing), by.get("failure", nothing)
        known = np.flatnonzero(good + bad >= FEWEST)
        coverage = 100 * good[known] / (good + bad)[known]
        for run in _runs(coverage < COVERAGE_TARGET):
            first, last = int(known[run[0]]), int(known[run[-1]])
            missing = float(bad[first : last + 1].sum())
            times = _at(start_ms + first * step), _at(start_ms + (last + 1) * step)
            found.append(Gap(provider, model, *times, last == known[-1], float(coverage[run].min()), missing))
    return sorted(found, key=lambda gap: (not gap.is_open, -gap.start.timestamp(), gap.model))[:most]


def _runs(low: Bools) -> list[Ints]:
    """Neighbouring places that are true, one good place between them forgiven."""
    places = np.flatnonzero(low)
    return np.split(places, np.flatnonzero(np.diff(places) > 2) + 1) if len(places) else []


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
