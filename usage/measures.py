"""5 roll up, first half: the measures of records, summed per bucket and dimension in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from usage.catalog import KINDS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def optional(values: Sequence[float | None]) -> Floats:
    """A column with NaN for what is absent."""
    return np.array(values, dtype=np.float64)


def layout(kind: str, rows: int, columns: Mapping[str, Floats]) -> Floats:
    """The measures of `rows` records as a matrix [rows, slots of the kind]; NaN in a column means not measured."""
    spec = KINDS[kind]
    matrix = np.zeros((rows, spec.width))
    matrix[:, spec.slots["count"]] = 1
    for name, values in columns.items():
        slot, there = spec.slots[name], ~np.isnan(values)
        matrix[there, slot] = values[there]
        histogram = spec.observed.get(name)
        if histogram is not None:
            # A bucket holds what is at most its bound, as `le` says.
            places = np.searchsorted(histogram.buckets, values[there], side="left")
            matrix[np.flatnonzero(there), slot + 1 + places] = 1
    return matrix


def summed(groups: Sequence[Ints], matrix: Floats) -> tuple[list[Ints], Floats]:
    """The rows of `matrix` summed where all of `groups` (a column each) agree; the groups sorted, ascending.

    Sorted groups matter: rows are upserted in this order by everyone, so that two batches cannot deadlock.
    """
    order = np.lexsort(tuple(reversed(groups)))
    ranked = [group[order] for group in groups]
    new = np.ones(len(order), dtype=bool)
    if len(order):
        new[1:] = np.any([group[1:] != group[:-1] for group in ranked], axis=0)
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(matrix[order], starts, axis=0) if len(order) else matrix[:0]
    return [group[starts] for group in ranked], sums


def array_texts(matrix: Floats) -> list[str]:
    """Each row as the text of a Postgres array, with all digits."""
    return ["{" + repr(row)[1:-1] + "}" for row in matrix.tolist()]
