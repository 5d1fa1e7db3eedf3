"""A row per model over a range: calls, coverage, failures, latency, tokens, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.charts.figures import SERIES_COLOURS
from core.ui.numbers import NONE, count, percent, seconds, usd
from core.ui.time_range import TimeRange
from promql.values import Bools, Floats
from usage.boards.declarations import COVERAGE_TARGET
from usage.boards.queries import Rollups, quantiles
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
    places: dict[tuple[str, str], int] = {}
    place = np.array([places.setdefault((group[0], group[1]), len(places)) for group in sums.groups], dtype=np.int64)
    outcome, usage = (np.array([group[column] for group in sums.groups], dtype=object) for column in (2, 3))

    def total(measure: str, where: Bools | None = None) -> Floats:
        values = sums.of(measure)[:, 0]
        return np.asarray(np.bincount(place, values if where is None else values * where, len(places)), dtype=float)

    calls = total("count")
    good, bad = total("count", usage == "success"), total("count", usage == "failure")
    # A refused record carries no outcome: its usage is missing, but nothing says that the call failed.
    known, succeeded = calls - total("count", outcome == ""), total("count", outcome == "success")
    durations = np.zeros((len(places), len(CALL_BUCKETS) + 1))
    np.add.at(durations, place, sums.buckets("duration")[:, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = (
            calls,
            100 * good / (good + bad),
            bad,
            100 * (1 - succeeded / known),
            quantiles(0.5, CALL_BUCKETS, durations),
            quantiles(0.95, CALL_BUCKETS, durations),
            *(total(measure) for measure in ("prompt_tokens", "completion_tokens", "cost_usd", "unpriced")),
        )
    values = np.column_stack(columns).tolist()
    found = [
        ModelRow(provider, model, colours[model] % SERIES_COLOURS if model in colours else None, *row)
        for (provider, model), row in zip(places, values, strict=True)
        if row[0]
    ]
    wanted = sort if sort in SORTS else "cost"
    return sorted(found, key=lambda row: row.sort_key(wanted))
