"""Quantiles and fractions of classic histograms, from their `le` buckets."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from promql.labels import METRIC_NAME, LabelKey, Labels, LabelSets, derive, drop_labels, label_key
from promql.result import Notes
from promql.values import Bools, Floats, Ints, Vector, join

# Counts that differ by less than this share are the same but for rounding, and are not called non-monotonic.
_SMALL_DELTA = 1e-12
_FORCED = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)
_MIN_NORMAL = float(np.finfo(np.float64).smallest_normal)


@dataclass
class Histograms:
    """Histograms of the same bounds: counts and presence are [histograms, buckets, steps], bounds ascend."""

    labels: list[Labels]
    bounds: Floats
    counts: Floats
    present: Bools


@dataclass
class SameBounds:
    """Histograms with the same bounds: the rows of their buckets; more than one per bucket where a bound is spelled in
    several ways."""

    labels: list[Labels]
    bounds: Floats
    first: Ints
    others: list[tuple[int, int, int]]


@dataclass
class BucketRows:
    """Which rows are buckets of which histogram; for rows without a valid bound, the metric name and the value of
    `le`."""

    alike: list[SameBounds]
    boundless: list[tuple[str, str]]


def histograms_of(vector: Vector, notes: Notes) -> Iterator[Histograms]:
    """The histograms that the buckets make up, those with equal bounds stacked together."""
    gathered = derive(vector.labels, "histograms", lambda: _gather(vector.labels))
    for metric, text in gathered.boundless:
        notes.warn(f'bucket label "le" is missing or has a malformed value of "{text}"{_of_metric(metric)}')
    counts = vector.values if vector.present.all() else np.where(vector.present, vector.values, 0.0)
    for alike in gathered.alike:
        stacked = Histograms(alike.labels, alike.bounds, counts[alike.first], vector.present[alike.first])
        for place, bucket, row in alike.others:
            stacked.counts[place, bucket] += counts[row]
            stacked.present[place, bucket] |= vector.present[row]
        yield stacked


def _gather(labels: list[Labels]) -> BucketRows:
    buckets: dict[LabelKey, dict[float, list[int]]] = {}
    names: dict[LabelKey, Labels] = {}
    boundless = []
    for row, own in enumerate(labels):
        bound = _parse_bound(own.get("le", ""))
        if bound is None:
            boundless.append((own.get(METRIC_NAME, ""), own.get("le", "")))
            continue
        rest = drop_labels(own, ("le",))
        key = label_key(rest)
        names[key] = rest
        buckets.setdefault(key, {}).setdefault(bound, []).append(row)
    by_bounds: dict[tuple[float, ...], list[LabelKey]] = {}
    for key, bounds in buckets.items():
        by_bounds.setdefault(tuple(sorted(bounds)), []).append(key)
    alike = []
    for same, keys in by_bounds.items():
        rows = [[buckets[key][bound] for bound in same] for key in keys]
        alike.append(
            SameBounds(
                LabelSets(names[key] for key in keys),
                np.array(same),
                np.array([[spellings[0] for spellings in histogram] for histogram in rows]),
                [
                    (place, bucket, row)
                    for place, histogram in enumerate(rows)
                    for bucket, spellings in enumerate(histogram)
                    for row in spellings[1:]
                ],
            )
        )
    return BucketRows(alike, boundless)


@lru_cache(maxsize=4096)
def _parse_bound(text: str) -> float | None:
    try:
        bound = float(text) if "_" not in text and text == text.strip() else math.nan
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def quantile(vector: Vector, rank: Floats, rank_notes: Notes, notes: Notes) -> Vector:
    """The quantile of every histogram at every step, linear within its bucket. Notes are of the quantile's and of the
    buckets' place."""
    rank_notes.check_quantile(rank)
    return _of_each(vector, notes, lambda histograms: _quantiles(histograms, rank, notes))


def fraction(vector: Vector, lower: Floats, upper: Floats, notes: Notes) -> Vector:
    """The share of observations between two values, of every histogram at every step."""
    return _of_each(vector, notes, lambda histograms: _fractions(histograms, lower, upper))


def _of_each(vector: Vector, notes: Notes, compute: Callable[[Histograms], Floats]) -> Vector:
    parts = [
        Vector(histograms.labels, compute(histograms), np.asarray(histograms.present.any(axis=1)), drops_name=True)
        for histograms in histograms_of(vector, notes)
    ]
    return join(parts, vector.values.shape[1]).compact()


def _quantiles(histograms: Histograms, quantile: Floats, notes: Notes) -> Floats:
    bounds, present = histograms.bounds, histograms.present
    steps = quantile.size
    if not np.isposinf(bounds[-1]):
        return _beyond(np.full((len(histograms.labels), steps), np.nan), quantile)
    counts = monotonic(histograms, notes)
    observations = counts[:, -1, :]
    rank = quantile * observations
    reached = present & (counts >= rank[:, None, :])
    # The last bucket takes what no other does, NaN included.
    reached[:, -1, :] = True
    bucket = reached.argmax(axis=1)
    before = _previous_present(present)
    previous = _at(before, bucket)
    has_previous = previous >= 0
    start = np.where(has_previous, bounds[np.maximum(previous, 0)], 0.0)
    below = np.where(has_previous, _at(counts, np.maximum(previous, 0)), 0.0)
    end = bounds[bucket]
    inside = start + (end - start) * ((rank - below) / (_at(counts, bucket) - below))
    last = len(bounds) - 1
    result = np.where(~has_previous & (end <= 0), end, inside)
    result = np.where(bucket == last, start, result)
    few = (present.sum(axis=1) < 2) | ~present[:, -1, :] | (observations == 0) | np.isnan(observations)
    return _beyond(np.where(few, np.nan, result), quantile)


def _fractions(histograms: Histograms, lower: Floats, upper: Floats) -> Floats:
    bounds, counts, present = histograms.bounds, histograms.counts, histograms.present
    shape = (len(histograms.labels), lower.size)
    if not np.isposinf(bounds[-1]):
        return np.full(shape, np.nan)
    total = counts[:, -1, :]
    below = [_rank_of(histograms, np.broadcast_to(edge, shape)) for edge in (lower, upper)]
    low, high = (np.where(rank > total, total, rank) for rank in below)
    result = np.where(lower >= upper, 0.0, (high - low) / total)
    unknown = ~present[:, -1, :] | (total == 0) | np.isnan(lower) | np.isnan(upper)
    return np.where(unknown, np.nan, result)


def _rank_of(histograms: Histograms, edge: Floats) -> Floats:
    """How many observations lie below a value, linear within its bucket; the total where none is above."""
    bounds, counts, present = histograms.bounds, histograms.counts, histograms.present
    first_bound = bounds[present.argmax(axis=1)]
    start = np.where(first_bound > 0, 0.0, -np.inf)
    rank = np.zeros(edge.shape)
    result = counts[:, -1, :].copy()
    found = np.zeros(edge.shape, dtype=bool)
    for bucket, bound in enumerate(bounds):
        count, here = counts[:, bucket, :], present[:, bucket, :] & ~found
        inside = np.where(np.isneginf(start), count, rank + (count - rank) * (edge - start) / (bound - start))
        at_start, within = here & (start >= edge), here & (start < edge) & (bound > edge)
        result = np.where(at_start, rank, np.where(within, inside, result))
        found |= at_start | within
        rank, start = np.where(here, count, rank), np.where(here, bound, start)
    return result


def _beyond(result: Floats, quantile: Floats) -> Floats:
    result = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, result))
    return np.where(np.isnan(quantile), np.nan, result)


def _at(stacked: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    return np.take_along_axis(stacked, bucket[:, None, :], axis=1)[:, 0, :]


def _previous_present(present: Bools) -> np.ndarray:
    """Per bucket, the index of the nearest lower bucket that is present, or -1."""
    index = np.where(present, np.arange(present.shape[1])[None, :, None], -1)
    reached = np.maximum.accumulate(index, axis=1)
    none = np.full_like(reached[:, :1], -1)
    return np.concatenate([none, reached[:, :-1]], axis=1)


def monotonic(histograms: Histograms, notes: Notes) -> Floats:
    """Counts that never fall from bucket to bucket; where more than rounding was corrected, a note says so."""
    counts, present = histograms.counts, histograms.present
    lower, upper = counts[:, :-1, :], counts[:, 1:, :]
    if present.all() and ((lower == upper) | (lower < upper) & ~_almost_equal(lower, upper)).all():
        return counts
    fixed = counts.copy()
    previous = fixed[:, 0, :]
    started = present[:, 0, :]
    forced = np.zeros(len(histograms.labels), dtype=bool)
    for bucket in range(1, counts.shape[1]):
        current, here = counts[:, bucket, :], present[:, bucket, :]
        close = _almost_equal(previous, current)
        fell = here & started & ~close & (current < previous)
        forced |= fell.any(axis=1)
        fixed[:, bucket, :] = np.where(here & started & (fell | close), previous, current)
        previous = np.where(here, fixed[:, bucket, :], previous)
        started = started | here
    for row in np.flatnonzero(forced):
        notes.inform(_FORCED + _of_metric(histograms.labels[row].get(METRIC_NAME, "")))
    return fixed


def _of_metric(name: str) -> str:
    return f' for metric name "{name}"' if name else ""


def _almost_equal(left: Floats, right: Floats) -> Bools:
    size = np.abs(left) + np.abs(right)
    tiny = (left == 0) | (right == 0) | (size < _MIN_NORMAL)
    tolerance = _SMALL_DELTA * np.where(tiny, _MIN_NORMAL, np.minimum(size, np.finfo(np.float64).max))
    close: Bools = (left == right) | (np.abs(left - right) < tolerance)
    return close
