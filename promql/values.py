"""What an expression evaluates to: one column per step, one row per series."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.errors import EvalError
from promql.labels import LabelKey, Labels, derive, label_key, of_one_metric, without_name, without_names

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
    """Series by steps. Where `present` is false there is no sample, and `values` says nothing.

    `drops_name` says, of each row or of all, that the metric's name goes when the query is done: until then label
    functions and `by (__name__)` see it (Prometheus calls that delayed name removal).
    """

    labels: list[Labels]
    values: Floats
    present: Bools
    drops_name: Bools | bool = False

    def rows(self, keep: Bools | Ints) -> "Vector":
        indexes = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        labels = [self.labels[i] for i in indexes]
        return Vector(labels, self.values[indexes], self.present[indexes], pick_rows(self.drops_name, indexes))

    def compact(self) -> "Vector":
        """The same without the rows that have no sample at all."""
        some = any_step(self.present)
        return self if some.all() else self.rows(some)

    def nameless(self, values: Floats, present: Bools | None = None) -> "Vector":
        """New values under these labels, whose metric name goes at the end."""
        return Vector(self.labels, values, self.present if present is None else present, drops_name=True)

    def names_dropped(self) -> Bools:
        """Per row, whether its name goes at the end."""
        return np.broadcast_to(self.drops_name, (len(self.labels),))


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
        join_flags(parts),
    )


def join_flags(parts: "list[Vector]") -> Bools | bool:
    """`drops_name` of the rows of all parts."""
    first = parts[0].drops_name
    if isinstance(first, bool) and all(part.drops_name is first for part in parts):
        return first
    return np.concatenate([part.names_dropped() for part in parts])


def pick_rows(flags: Bools | bool, rows: Bools | Ints) -> Bools | bool:
    """`drops_name` of some rows."""
    return flags if isinstance(flags, bool) else flags[rows]


def drop_names(vector: Vector) -> Vector:
    """The vector without the names that go; series of one metric cannot collide by that, others are checked. Raises
    EvalError."""
    flags = vector.drops_name
    if not isinstance(flags, bool):
        flags = bool(flags.all()) if flags.all() or not flags.any() else flags
    if flags is False:
        return vector
    if flags is not True:
        labels = [without_name(row) if drops else row for row, drops in zip(vector.labels, flags, strict=True)]
        return merge_rows(Vector(labels, vector.values, vector.present))
    dropped = Vector(without_names(vector.labels), vector.values, vector.present)
    return dropped if of_one_metric(vector.labels) else merge_rows(dropped)


def merge_rows(vector: Vector) -> Vector:
    """Join rows of equal labels that never meet in one step. Raises EvalError where they meet.

    A name that goes at the end is another label than one that stays.
    """
    if isinstance(vector.drops_name, bool):
        groups = derive(vector.labels, "rows", lambda: _rows_by_labels(vector.labels, ()))
    else:
        groups = _rows_by_labels(vector.labels, vector.drops_name.tolist())
    if len(groups) == len(vector.labels):
        return vector
    values, present = vector.values.copy(), vector.present.copy()
    for first, *others in groups.values():
        for other in others:
            if (present[first] & present[other]).any():
                raise EvalError("vector cannot contain metrics with the same labelset")
            values[first] = np.where(present[other], values[other], values[first])
            present[first] |= present[other]
    merged = Vector(vector.labels, values, present, vector.drops_name)
    return merged.rows(np.array([rows[0] for rows in groups.values()], dtype=np.int64))


def _rows_by_labels(labels: list[Labels], flags: Sequence[bool]) -> dict[tuple[LabelKey, bool], list[int]]:
    groups: dict[tuple[LabelKey, bool], list[int]] = {}
    for row, own in enumerate(labels):
        groups.setdefault((label_key(own), bool(flags) and flags[row]), []).append(row)
    return groups
