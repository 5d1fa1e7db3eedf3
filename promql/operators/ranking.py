"""Aggregations that choose series and keep their labels: topk, bottomk, limitk, limit_ratio."""

import hashlib
from collections.abc import Callable

import numpy as np

from promql.errors import EvalError
from promql.labels import Labels, label_order
from promql.result import Notes
from promql.text_forms import format_value
from promql.values import Bools, Floats, Ints, Vector

_MAX_INT = 2.0**63


def check_parameter(op: str, parameter: Floats) -> None:
    """Raise EvalError where a parameter is no number, or one by which no series can be counted."""
    if np.isnan(parameter).any():
        raise EvalError("Ratio value is NaN" if op == "limit_ratio" else "Parameter value is NaN")
    if op == "limit_ratio":
        return
    low, high = (float(bound) for bound in (parameter.min(initial=0), parameter.max(initial=0)))
    if low <= -_MAX_INT:
        raise EvalError(f"Scalar value {_bare(low)} underflows int64")
    if high >= _MAX_INT:
        raise EvalError(f"Scalar value {_bare(high)} overflows int64")


def _bare(value: float) -> str:
    """A huge number as Go writes it."""
    return repr(value) if np.isfinite(value) else format_value(value)


def _choose_extreme(sign: float) -> Callable[[Vector, Ints, Floats, Notes], Vector]:
    """The k rows of each group and step with the largest values times `sign`; NaN comes last."""

    def choose(vector: Vector, group_of: Ints, parameter: Floats, notes: Notes) -> Vector:
        wanted = np.trunc(parameter)
        rank_by = np.where(np.isnan(vector.values), np.inf, -sign * vector.values)
        # Absent rows after NaN, NaN after everything; equal values in the order of the input.
        kind = np.where(vector.present, np.where(np.isnan(vector.values), 1, 0), 2)
        chosen = np.zeros_like(vector.present)
        order_of_row = np.empty(len(vector.labels), dtype=np.int64)
        for group in range(int(group_of.max()) + 1):
            rows = np.flatnonzero(group_of == group)
            order = np.lexsort((rank_by[rows], kind[rows]), axis=0)
            place = np.empty_like(order)
            np.put_along_axis(place, order, np.arange(rows.size)[:, None], axis=0)
            chosen[rows] = (place < wanted) & vector.present[rows]
            order_of_row[rows] = place[:, 0]
        best_first = np.lexsort((order_of_row, group_of))
        return Vector(vector.labels, vector.values, chosen, vector.drops_name).rows(best_first).compact()

    return choose


def _limit_count(vector: Vector, group_of: Ints, parameter: Floats, notes: Notes) -> Vector:
    """The first k rows present of each group."""
    wanted = np.trunc(parameter)
    chosen = np.zeros_like(vector.present)
    for group in range(int(group_of.max()) + 1):
        rows = np.flatnonzero(group_of == group)
        chosen[rows] = vector.present[rows] & (np.cumsum(vector.present[rows], axis=0) <= wanted)
    return Vector(vector.labels, vector.values, chosen, vector.drops_name).compact()


def _limit_ratio(vector: Vector, group_of: Ints, parameter: Floats, notes: Notes) -> Vector:
    """About this share of the series, chosen by their labels; -0.9 is the complement of 0.1."""
    for value in np.unique(parameter[np.abs(parameter) > 1]).tolist():
        bound = 1 if value > 0 else -1
        notes.warn(f"ratio value should be between -1 and 1, got {format_value(value)}, capping to {bound}")
    ratio = np.clip(parameter, -1, 1)
    offsets = np.array([_offset(labels) for labels in vector.labels])[:, None]
    chosen: Bools = np.where(ratio >= 0, offsets < ratio, offsets >= 1 + ratio)
    return Vector(vector.labels, vector.values, vector.present & chosen, vector.drops_name).compact()


def _offset(labels: Labels) -> float:
    """A number in [0, 1) that depends on the label set alone."""
    digest = hashlib.blake2b(repr(label_order(labels)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


CHOOSERS: dict[str, Callable[[Vector, Ints, Floats, Notes], Vector]] = {
    "topk": _choose_extreme(1.0),
    "bottomk": _choose_extreme(-1.0),
    "limitk": _limit_count,
    "limit_ratio": _limit_ratio,
}
