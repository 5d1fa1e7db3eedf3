"""Functions over a range that fit a line or smooth: deriv, predict_linear, double_exponential_smoothing."""

import numpy as np

from promql.errors import EvalError
from promql.functions.over_time import window_by_window
from promql.sums import sum_last_axis
from promql.values import Bools, Floats
from promql.windows import WindowBatch, Windows


def deriv(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    """The slope per second of the line of least squares."""

    def slope(batch: WindowBatch) -> Floats:
        # Times count from the window's first sample: small numbers keep the squares exact.
        return _line(batch, batch.times[..., :1])[0]

    return window_by_window(windows, slope), windows.counts >= 2


def predict_linear(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    """The value of that line so many seconds after the evaluation time."""
    (seconds,) = args

    def predict(batch: WindowBatch) -> Floats:
        slope, intercept = _line(batch, windows.at[batch.steps][None, :, None])
        return slope * seconds[batch.steps] + intercept

    return window_by_window(windows, predict), windows.counts >= 2


def _line(batch: WindowBatch, origin_ms: np.ndarray) -> tuple[Floats, Floats]:
    """Slope per second, and value at the origin."""
    mask, y = batch.mask, batch.values
    x = (batch.times - origin_ms) / 1000
    n = mask.sum(axis=2)
    sum_x, sum_y = sum_last_axis(x, mask), sum_last_axis(y, mask)
    covariance = sum_last_axis(x * y, mask) - sum_x * sum_y / n
    variance = sum_last_axis(x * x, mask) - sum_x * sum_x / n
    slope = covariance / variance
    intercept = sum_y / n - slope * sum_x / n
    first = y[..., 0]
    constant = np.where(mask, y == y[..., :1], True).all(axis=2)
    flat = np.where(np.isinf(first), np.nan, 0.0)
    return np.where(constant, flat, slope), np.where(constant, first + flat, intercept)


def double_exponential_smoothing(windows: Windows, args: list[Floats]) -> tuple[Floats, Bools]:
    """Holt's linear smoothing with a smoothing and a trend factor, each between 0 and 1. Raises EvalError."""
    smoothing, trend = args
    for name, factor in (("smoothing", smoothing), ("trend", trend)):
        for wrong in factor[(factor <= 0) | (factor >= 1)][:1]:
            symbol = "sf" if name == "smoothing" else "tf"
            raise EvalError(f"invalid {name} factor. Expected: 0 < {symbol} < 1, got: {wrong:f}")

    def smooth(batch: WindowBatch) -> Floats:
        return _smooth(batch, smoothing[batch.steps], trend[batch.steps])

    return window_by_window(windows, smooth), windows.counts >= 2


def _smooth(batch: WindowBatch, smoothing: Floats, trend: Floats) -> Floats:
    values, mask = batch.values, batch.mask
    level = values[..., 0].copy()
    if values.shape[2] < 2:
        return level
    before = level
    slope = values[..., 1] - values[..., 0]
    for column in range(1, values.shape[2]):
        if column > 1:
            slope = trend * (level - before) + (1 - trend) * slope
        new = smoothing * values[..., column] + (1 - smoothing) * (level + slope)
        here = mask[..., column]
        before, level = np.where(here, level, before), np.where(here, new, level)
    return level
