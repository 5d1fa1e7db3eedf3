"""What an expression evaluates to: one column per step, one row per series."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.errors import EvalError
from promql.labels import LabelKey, Labels, derive, label_key, metric_names, without_names

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Scalar:
    """A number per step."""

    values: Floats


@dataclass
class Text:
    value: str


@dataclass
class Vector:
    """Series by steps. Where `present` is false there is no sample, and `values` says nothing."""

    labels: list[Labels]
    values: Floats
    present: Bools

    def rows(self, keep: Bools | Ints) -> "Vector":
        indexes = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        return Vector([self.labels[i] for i in indexes], self.values[indexes], self.present[indexes])

    def compact(self) -> "Vector":
        """The same without the rows that have no sample at all."""
        some = any_step(self.present)
        return self if some.all() else self.rows(some)

    def nameless(self, values: Floats, present: Bools | None = None) -> "Vector":
        """New values under these labels, less the metric name."""
        return drop_names(Vector(self.labels, values, self.present if present is None else present))


Value = Vector | Scalar | Text


def as_vector(value: Value) -> Vector:
    if not isinstance(value, Vector):
        raise EvalError("an instant vector is expected here")
    return value


def as_scalar(value: Value) -> Scalar:
    if not isinstance(value, Scalar):
        raise EvalError("a scalar is expected here")
    return value


def any_row(present: Bools) -> Bools:
    """Per step, whether any row is there."""
    return np.asarray(present.any(axis=0))


def any_step(present: Bools) -> Bools:
    """Per row, whether it is there at any step."""
    return np.asarray(present.any(axis=1))


def empty_vector(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))


def join(parts: "list[Vector]", steps: int) -> Vector:
    """All rows of some vectors of the same steps."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty_vector(steps)
    return Vector(
        [labels for part in parts for labels in part.labels],
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.present for part in parts]),
    )


def drop_names(vector: Vector) -> Vector:
    """Drop the metric name; series of one metric cannot collide by that, others are checked."""
    names = metric_names(vector.labels)
    if names == [""]:
        return vector
    dropped = Vector(without_names(vector.labels), vector.values, vector.present)
    return dropped if len(names) == 1 else merge_rows(dropped)


def merge_rows(vector: Vector) -> Vector:
    """Join rows of equal labels that never meet in one step. Raises EvalError where they meet."""
    groups = derive(vector.labels, "rows", lambda: _rows_by_labels(vector.labels))
    if len(groups) == len(vector.labels):
        return vector
    values, present = vector.values.copy(), vector.present.copy()
    for first, *others in groups.values():
        for other in others:
            if (present[first] & present[other]).any():
                raise EvalError("vector cannot contain metrics with the same labelset")
            values[first] = np.where(present[other], values[other], values[first])
            present[first] |= present[other]
    merged = Vector(vector.labels, values, present)
    return merged.rows(np.array([rows[0] for rows in groups.values()], dtype=np.int64))


def _rows_by_labels(labels: list[Labels]) -> dict[LabelKey, list[int]]:
    groups: dict[LabelKey, list[int]] = {}
    for row, own in enumerate(labels):
        groups.setdefault(label_key(own), []).append(row)
    return groups
