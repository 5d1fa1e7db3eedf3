"""Quantiles of samples, as quantile() and quantile_over_time() define them."""

import numpy as np

from promql.values import Bools, Floats


def quantile_last_axis(values: Floats, mask: Bools, quantile: Floats) -> Floats:
    """The quantile of the masked values of the last axis, linear between neighbours; NaN counts as the smallest.

    `quantile` broadcasts against the leading axes. Below 0 it is -Inf, above 1 +Inf, and NaN for NaN or no values.
    """
    counts = mask.sum(axis=-1)
    nans = (np.isnan(values) & mask).sum(axis=-1)
    ordered = np.sort(np.where(mask, np.where(np.isnan(values), -np.inf, values), np.inf), axis=-1)
    rank = np.clip(np.nan_to_num(quantile), 0, 1) * np.maximum(counts - 1, 0)
    lower = np.floor(rank).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = rank - lower
    low = np.where(lower < nans, np.nan, _pick(ordered, lower))
    high = np.where(upper < nans, np.nan, _pick(ordered, upper))
    result = low * (1 - weight) + high * weight
    return _out_of_range(result, counts == 0, np.broadcast_to(quantile, counts.shape))


def _pick(ordered: Floats, index: np.ndarray) -> Floats:
    picked: Floats = np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0]
    return picked


def _out_of_range(result: Floats, empty: Bools, quantile: Floats) -> Floats:
    result = np.where(quantile < 0, -np.inf, result)
    result = np.where(quantile > 1, np.inf, result)
    return np.where(empty | np.isnan(quantile), np.nan, result)
