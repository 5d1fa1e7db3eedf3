"""A row per model over a range: calls, coverage, failures, latency, tokens, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.charts.figures import SERIES_COLOURS
from core.ui.numbers import NONE, count, percent, seconds, usd
from core.ui.time_range import TimeRange
from usage.boards.declarations import COVERAGE_TARGET
from usage.boards.queries import Rollups, Sums, quantile
from usage.catalog import CALL_BUCKETS

SORTS = ("model", "calls", "coverage", "failed", "p95", "tokens", "cost")
MEASURES = ("count", "prompt_tokens", "completion_tokens", "cost_usd", "unpriced", "duration")


@dataclass(frozen=True)
class ModelRow:
    """What one model of one provider did. Shares are percent, NaN without anything to have a share of."""

    provider: str
    model: str
    colour: int | None
    calls: float
    coverage: float
    not_recorded: float
    failed: float
    p50: float
    p95: float
    tokens_in: float
    tokens_out: float
    cost: float
    unpriced: float

    @property
    def is_uncovered(self) -> bool:
        """Below the target."""
        return self.coverage < COVERAGE_TARGET

    @property
    def is_unpriced(self) -> bool:
        """Whether no price is known for most of its calls with tokens."""
        return self.unpriced > 0 and self.cost == 0

    @property
    def shown(self) -> dict[str, str]:
        """Its figures as formatted text."""
        out = count(self.tokens_out) if self.tokens_out else NONE
        return {
            "calls": count(self.calls),
            "coverage": percent(self.coverage),
            "not_recorded": count(self.not_recorded),
            "failed": percent(self.failed),
            "p50": seconds(self.p50),
            "p95": seconds(self.p95),
            "tokens": f"{count(self.tokens_in)} / {out}",
            "cost": usd(self.cost),
        }

    def sort_key(self, by: str) -> tuple[bool, float, str]:
        """Largest first, unknown last, names in their order."""
        if by == "model":
            return (False, 0.0, self.model)
        value = self.tokens_in + self.tokens_out if by == "tokens" else float(getattr(self, by))
        # The lowest coverage is what one looks for.
        value = value if by == "coverage" else -value
        return (math.isnan(value), value, self.model)


def rows(rollups: Rollups, time_range: TimeRange, colours: Mapping[str, int], sort: str) -> list[ModelRow]:
    """A row per provider and model with calls in the range, sorted by one of `SORTS` (else by cost)."""
    by = ("provider", "model", "outcome", "usage")
    sums = rollups.sums(MEASURES, by, time_range.start_ms, time_range.end_ms)
    members: dict[tuple[str, str], list[int]] = {}
    for place, (provider, model, _, _) in enumerate(sums.groups):
        members.setdefault((provider, model), []).append(place)
    found = [_row(sums, *name, places, colours) for name, places in members.items()]
    wanted = sort if sort in SORTS else "cost"
    return sorted((row for row in found if row.calls), key=lambda row: row.sort_key(wanted))


def _row(sums: Sums, provider: str, model: str, places: list[int], colours: Mapping[str, int]) -> ModelRow:
    def total(measure: str, *, outcome: str | None = None, usage: str | None = None) -> float:
        wanted = [
            place
            for place in places
            if outcome in (None, sums.groups[place][2]) and usage in (None, sums.groups[place][3])
        ]
        return float(sums.of(measure)[wanted].sum())

    calls, good, bad = total("count"), total("count", usage="success"), total("count", usage="failure")
    # A refused record carries no outcome: its usage is missing, but nothing says that the call failed.
    known = calls - total("count", outcome="")
    durations = np.asarray(sums.buckets("duration")[places, 0].sum(axis=0))
    return ModelRow(
        provider=provider,
        model=model,
        colour=colours[model] % SERIES_COLOURS if model in colours else None,
        calls=calls,
        coverage=100 * good / (good + bad) if good + bad else math.nan,
        not_recorded=bad,
        failed=100 * (1 - total("count", outcome="success") / known) if known else math.nan,
        p50=quantile(0.5, CALL_BUCKETS, durations),
        p95=quantile(0.95, CALL_BUCKETS, durations),
        tokens_in=total("prompt_tokens"),
        tokens_out=total("completion_tokens"),
        cost=total("cost_usd"),
        unpriced=total("unpriced"),
    )
