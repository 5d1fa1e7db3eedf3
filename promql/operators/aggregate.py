"""Aggregations: sum by (…), topk, quantile and their kin."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from promql.context import Evaluation
from promql.errors import EvalError
from promql.functions.quantile import quantile_last_axis
from promql.labels import METADATA, METRIC_NAME, Labels, LabelSets, derive, drop_labels, keep_labels, label_key
from promql.operators.ranking import CHOOSERS, check_parameter
from promql.result import Notes
from promql.sums import by_group, rows_by_rank, sum_groups
from promql.syntax import Aggregate
from promql.text_forms import format_value
from promql.values import Bools, Floats, Ints, Vector, empty_vector, join, merge_rows

_NO_PARAMETER = np.zeros(0)


@dataclass
class Groups:
    """Which group each row belongs to, in order of first appearance, and the labels of the groups."""

    of_row: Ints
    labels: list[Labels]

    @cached_property
    def ordered(self) -> tuple[Ints, Ints]:
        """The rows ordered by group, and where each group starts among them."""
        return by_group(self.of_row)

    @cached_property
    def ranks(self) -> list[Ints]:
        """The first row of every group, then the second of those that have one, and so on."""
        return rows_by_rank(self.of_row)

    @cached_property
    def sizes(self) -> Ints:
        """Rows per group."""
        return np.bincount(self.of_row)

    def counts(self, present: Bools) -> Ints:
        """Rows present per group and step."""
        if present.all():
            return np.repeat(self.sizes[:, None], present.shape[1], axis=1)
        order, starts = self.ordered
        return np.add.reduceat(present[order], starts, axis=0, dtype=np.int64)


def aggregate(evaluation: Evaluation, node: Aggregate, times: Ints) -> Vector:
    parameter = _parameter(evaluation, node, times)
    vector = evaluation.vector(node.expr, times)
    if not vector.labels:
        return empty_vector(times.size)
    if node.op == "count_values":
        return _count_values(evaluation, node, vector)
    key = ("groups", node.by, node.grouping)
    groups = derive(vector.labels, key, lambda: group_rows(vector.labels, node.by, node.grouping))
    if node.op in CHOOSERS:
        return CHOOSERS[node.op](vector, groups.of_row, parameter, _notes(evaluation, node))
    present = groups.counts(vector.present) > 0
    if node.op == "quantile":
        _notes(evaluation, node).check_quantile(parameter)
        values = _quantile(vector, groups, parameter)
    else:
        values = _REDUCERS[node.op](vector, groups)
    return Vector(groups.labels, values, present, _drops_name(node, vector, groups))


def _parameter(evaluation: Evaluation, node: Aggregate, times: Ints) -> Floats:
    """The scalar parameter, empty where there is none. It is checked even if there is no series."""
    if node.param is None or node.op == "count_values":
        return _NO_PARAMETER
    parameter = evaluation.scalar(node.param, times)
    if node.op in CHOOSERS:
        check_parameter(node.op, parameter)
    return parameter


def _notes(evaluation: Evaluation, node: Aggregate) -> Notes:
    """The notes, for annotations about the parameter."""
    return evaluation.notes.at(node if node.param is None else node.param)


def _drops_name(node: Aggregate, vector: Vector, groups: Groups) -> Bools | bool:
    """Per group, whether it loses its metric name at the end because one of its series does."""
    if not node.by or METRIC_NAME not in node.grouping or vector.drops_name is False:
        return False
    return np.bincount(groups.of_row, weights=vector.names_dropped(), minlength=len(groups.labels)) > 0


def group_rows(labels: list[Labels], by: bool, grouping: tuple[str, ...]) -> Groups:
    dropped = (*grouping, *METADATA)
    index: dict[Hashable, int] = {}
    group_labels = LabelSets([])
    of_row: list[int] = []
    for row_labels in labels:
        key: Hashable = tuple(map(row_labels.get, grouping)) if by else label_key(drop_labels(row_labels, dropped))
        place = index.setdefault(key, len(group_labels))
        if place == len(group_labels):
            group_labels.append(keep_labels(row_labels, grouping) if by else drop_labels(row_labels, dropped))
        of_row.append(place)
    return Groups(np.array(of_row, dtype=np.int64), group_labels)


def _sum(vector: Vector, groups: Groups) -> Floats:
    return sum_groups(vector.values, vector.present, groups.of_row, groups.ranks)


def _avg(vector: Vector, groups: Groups) -> Floats:
    counts = groups.counts(vector.present)
    total = _sum(vector, groups)
    average = total / counts
    if np.isinf(total).any():
        # The sum overflowed, perhaps; a sum of quotients does not where the values do not.
        parts = vector.values / counts[groups.of_row]
        average = np.where(np.isinf(total), sum_groups(parts, vector.present, groups.of_row, groups.ranks), average)
    return average


def _stdvar(vector: Vector, groups: Groups) -> Floats:
    """Squares of the distances from the mean, both counted from a value of the group: equal values have exactly 0."""
    counts = groups.counts(vector.present)
    origin = _extreme(np.fmax)(vector, groups)
    moved = Vector(vector.labels, vector.values - origin[groups.of_row], vector.present)
    mean = _sum(moved, groups) / counts
    moved.values = (moved.values - mean[groups.of_row]) ** 2
    return _sum(moved, groups) / counts


def _stddev(vector: Vector, groups: Groups) -> Floats:
    return np.sqrt(_stdvar(vector, groups))


def _extreme(of_two: np.ufunc) -> Callable[[Vector, Groups], Floats]:
    def reduce(vector: Vector, groups: Groups) -> Floats:
        known = np.where(vector.present, vector.values, np.nan)
        order, starts = groups.ordered
        return np.asarray(of_two.reduceat(known[order], starts, axis=0))

    return reduce


def _count(vector: Vector, groups: Groups) -> Floats:
    return groups.counts(vector.present).astype(np.float64)


def _one(vector: Vector, groups: Groups) -> Floats:
    return np.ones((len(groups.labels), vector.values.shape[1]))


_REDUCERS: dict[str, Callable[[Vector, Groups], Floats]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": _count,
    "group": _one,
    "stdvar": _stdvar,
    "stddev": _stddev,
}


def _quantile(vector: Vector, groups: Groups, quantile: Floats) -> Floats:
    result = np.zeros((len(groups.labels), vector.values.shape[1]))
    for group in range(len(groups.labels)):
        rows = np.flatnonzero(groups.of_row == group)
        result[group] = quantile_last_axis(vector.values[rows].T, vector.present[rows].T, quantile)
    return result


def _count_values(evaluation: Evaluation, node: Aggregate, vector: Vector) -> Vector:
    """One series per distinct value of each group, with the value as a label."""
    if node.param is None:
        raise EvalError("count_values needs a parameter")
    label = evaluation.label_name(node.param, "count_values", "label name")
    grouping = (*node.grouping, label) if not node.by else tuple(name for name in node.grouping if name != label)
    groups = group_rows(vector.labels, node.by, grouping)
    drops_name = np.broadcast_to(_drops_name(node, vector, groups), len(groups.labels)).tolist()
    steps = vector.values.shape[1]
    parts = []
    for group, group_labels in enumerate(groups.labels):
        rows = np.flatnonzero(groups.of_row == group)
        of_row, of_step = np.nonzero(vector.present[rows])
        distinct, of_sample = _distinct(vector.values[rows][of_row, of_step])
        evaluation.hold(distinct.size, steps)
        counts = np.zeros((distinct.size, steps))
        np.add.at(counts, (of_sample, of_step), 1.0)
        labels = [{**group_labels, label: format_value(value)} for value in distinct.tolist()]
        parts.append(Vector(labels, counts, counts > 0, drops_name[group]))
    return merge_rows(join(parts, steps))


def _distinct(values: Floats) -> tuple[Floats, Ints]:
    """Distinct values and the place of each value among them; -0 and 0 are apart as their texts are, NaN is one."""
    bits = np.where(np.isnan(values), np.nan, values).view(np.int64)
    distinct, place = np.unique(bits, return_inverse=True)
    return distinct.view(np.float64), place
