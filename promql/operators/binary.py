"""Operators between scalars and vectors, and between vectors series by series."""

from collections.abc import Callable

import numpy as np

from promql.context import Evaluation
from promql.operators.matching import match_vectors
from promql.operators.setops import set_operation
from promql.syntax import COMPARISONS, SET_OPERATORS, Binary
from promql.values import Bools, Floats, Ints, Scalar, Value, Vector, as_scalar, as_vector

Operator = Callable[[Floats, Floats], Floats]
Comparison = Callable[[Floats, Floats], Bools]

ARITHMETIC: dict[str, Operator] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARE: dict[str, Comparison] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def binary(evaluation: Evaluation, node: Binary, times: Ints) -> Value:
    left = evaluation.value(node.left, times)
    right = evaluation.value(node.right, times)
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return Scalar(compute(node.op, left.values, right.values))
    if isinstance(left, Vector) and isinstance(right, Vector):
        if node.op in SET_OPERATORS:
            return set_operation(node.op, left, right, node.matching)
        return match_vectors(node, left, right, lambda a, b: _outcome(node, a, b), evaluation.hold)
    if isinstance(left, Vector) and isinstance(right, Scalar):
        return _with_scalar(node, left, left.values, right.values, left.values)
    vector = as_vector(right)
    return _with_scalar(node, vector, as_scalar(left).values, vector.values, vector.values)


def compute(op: str, left: Floats, right: Floats) -> Floats:
    """The result of an operator; a comparison is 1 or 0."""
    if op in COMPARISONS:
        return COMPARE[op](left, right).astype(np.float64)
    return ARITHMETIC[op](left, right)


def _outcome(node: Binary, left: Floats, right: Floats) -> tuple[Floats, Bools]:
    """Values and where they are kept: a comparison without bool filters and keeps the left value."""
    if node.op in COMPARISONS and not node.return_bool:
        return left, COMPARE[node.op](left, right)
    values = compute(node.op, left, right)
    return values, np.ones(values.shape, dtype=bool)


def _with_scalar(node: Binary, vector: Vector, left: Floats, right: Floats, own: Floats) -> Vector:
    if node.op in COMPARISONS and not node.return_bool:
        kept = COMPARE[node.op](left, right)
        return Vector(vector.labels, own, vector.present & kept, vector.drops_name)
    return vector.nameless(compute(node.op, left, right))
