"""5 roll up, first half: the measures of records, summed per bucket and dimension in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promql.values import Floats, Ints
from usage.catalog import KINDS

AnyInts = NDArray[Any]


def optional(values: Sequence[float | None]) -> Floats:
    """A column with NaN for what is absent."""
    return np.array(values, dtype=np.float64)


def summed(kind: str, group_of: Ints, groups: int, given: Mapping[str, Floats]) -> Floats:
    """The measures of records summed by group, as a matrix [groups, offsets of the kind].

    `given` has a column per measure, of which NaN means not measured; each record counts once.
    """
    spec = KINDS[kind]
    matrix = np.zeros((groups, spec.width))
    matrix[:, spec.offsets["count"]] = np.bincount(group_of, minlength=groups)
    for name, values in given.items():
        there = ~np.isnan(values)
        if not there.any():
            continue
        offset, group, measured = spec.offsets[name], group_of[there], values[there]
        matrix[:, offset] = np.bincount(group, measured, minlength=groups)
        if name in spec.observed:
            # A bucket holds what is at most its bound, as `le` says.
            bounds = spec.observed[name].buckets
            cells = len(bounds) + 1
            cell = group * cells + np.searchsorted(bounds, measured, side="left")
            matrix[:, offset + 1 : offset + 1 + cells] = np.bincount(cell, minlength=groups * cells).reshape(
                groups, cells
            )
    return matrix


def grouped(*columns: AnyInts) -> tuple[list[AnyInts], Ints]:
    """The distinct combinations of some columns, ascending, and the place of each row's among them."""
    order = np.lexsort(columns[::-1])
    ranked = [column[order] for column in columns]
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in ranked:
        new[1:] |= column[1:] != column[:-1]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    return [column[new] for column in ranked], place
