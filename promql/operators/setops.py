"""and, or, unless."""

import numpy as np

from promql.labels import LabelKey
from promql.operators.matching import by_signature
from promql.syntax import Matching
from promql.values import Bools, Vector, any_row, join_flags, merge_rows


def set_operation(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    if op == "or":
        return _union(left, right, matching)
    partner = _partner_present(left, right, matching)
    present = left.present & (partner if op == "and" else ~partner)
    return Vector(left.labels, left.values, present, left.drops_name).compact()


def _partner_present(vector: Vector, other: Vector, matching: Matching) -> Bools:
    """For each row and step, whether the other side has a series of the same signature."""
    seen: dict[LabelKey, Bools] = {
        key: any_row(other.present[rows]) for key, rows in by_signature(other, matching).items()
    }
    result = np.zeros(vector.present.shape, dtype=bool)
    for key, rows in by_signature(vector, matching).items():
        if key in seen:
            result[rows] = seen[key]
    return result


def _union(left: Vector, right: Vector, matching: Matching) -> Vector:
    extra = right.present & ~_partner_present(right, left, matching)
    return merge_rows(
        Vector(
            [*left.labels, *right.labels],
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, extra]),
            join_flags([left, right]),
        ).compact()
    )
