"""Which threshold would have given about so many alerts a week: the past, judged by the engine's
states at one threshold after the other."""

from __future__ import annotations

import math

import numpy as np

from alerts.evaluation.state_machine import FIRING, Holding, over_time
from alerts.trial.backtest import Backtest

WEEK_MS = 7 * 86_400_000
CANDIDATES = 64
# Series times steps beyond which nothing is suggested, so that typing stays fast.
MAX_CELLS = 2_000_000
# What fires for longer than this share of the time is no threshold, however seldom it begins to.
MAX_FIRING_SHARE = 0.1


def suggested_threshold(test: Backtest, holding: Holding, per_week: float = 1.0) -> float | None:
    """The threshold nearest to what is ordinary at which the rule would have fired at most `per_week` times a week;
    rounded to two digits, away from it. None where the rule is no comparison with a number, or nothing was measured."""
    comparison, measured = test.comparison, test.measured
    if comparison is None or comparison.number is None or not 0 < measured.values.size <= MAX_CELLS:
        return None
    if comparison.operator not in (">", ">=", "<", "<="):
        return None
    is_upper = comparison.operator.startswith(">")
    seen = measured.values[measured.present & np.isfinite(measured.values)]
    if not len(seen):
        return None
    allowed = per_week * max(1.0, (int(test.times[-1]) - int(test.times[0])) / WEEK_MS)
    candidates = np.unique(np.quantile(seen, np.linspace(0, 1, CANDIDATES)))
    ordered = candidates if is_upper else candidates[::-1]
    low, high = 0, len(ordered) - 1
    while low < high:
        middle = (low + high) // 2
        if _is_quiet(test, float(ordered[middle]), is_upper, holding, allowed):
            high = middle
        else:
            low = middle + 1
    return rounded(float(ordered[low]), up=is_upper)


def _is_quiet(test: Backtest, threshold: float, is_upper: bool, holding: Holding, allowed: float) -> bool:
    """Whether the rule would have fired no more often than is allowed at a threshold, and not most of the time."""
    values = test.measured.values
    beyond = values > threshold if is_upper else values < threshold
    fires = over_time(test.measured.present & beyond, test.times, holding) == FIRING
    began = int((fires[:, 1:] & ~fires[:, :-1]).sum() + fires[:, 0].sum())
    return began <= allowed and float(fires.any(axis=0).mean()) <= MAX_FIRING_SHARE


def rounded(value: float, *, up: bool, past: bool = False) -> float:
    """The value with two significant digits, not below it (`up`) or not above it; `past`: and not the value itself."""
    if value == 0:
        return 0.0
    size = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = math.ceil(value / size) if up else math.floor(value / size)
    found = steps * size
    if past and float(f"{found:.3g}") == float(f"{value:.12g}"):
        found = (steps + (1 if up else -1)) * size
    return float(f"{found:.2g}") if abs(found) < 1e15 else found
