"""Vector matching: which series of one side meets which of the other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from promql.errors import EvalError
from promql.labels import METRIC_NAME, LabelKey, Labels, drop_labels, keep_labels, label_key
from promql.syntax import COMPARISONS, Binary, Matching
from promql.values import Bools, Floats, Ints, Vector, empty_vector, merge_rows

Outcome = Callable[[Floats, Floats], tuple[Floats, Bools]]


def signature(labels: Labels, matching: Matching) -> LabelKey:
    """The labels by which a series is matched."""
    if matching.on:
        return label_key(keep_labels(labels, matching.labels))
    return label_key(drop_labels(labels, (*matching.labels, METRIC_NAME)))


def by_signature(vector: Vector, matching: Matching) -> dict[LabelKey, list[int]]:
    rows: dict[LabelKey, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(signature(labels, matching), []).append(row)
    return rows


@dataclass
class Pairs:
    """Rows that meet: of the many side, of the one side, and the labels of what they make."""

    many: Ints
    one: Ints
    labels: list[Labels]


def match_vectors(node: Binary, left: Vector, right: Vector, outcome: Outcome) -> Vector:
    """Apply an operator to every pair of series that match. Raises EvalError where a match is ambiguous."""
    swapped = node.matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    if not many.labels or not one.labels:
        return empty_vector(many.present.shape[1])
    one_rows = by_signature(one, node.matching)
    many_rows = by_signature(many, node.matching)
    _check_one_side(node, many, one, one_rows)
    pairs = _pair(node, many, one, many_rows, one_rows)
    if not pairs.labels:
        return empty_vector(many.present.shape[1])
    sides = (one.values[pairs.one], many.values[pairs.many])
    values, kept = outcome(*sides) if swapped else outcome(*reversed(sides))
    result = Vector(pairs.labels, values, many.present[pairs.many] & one.present[pairs.one] & kept)
    _check_many_side(node, result, [signature(many.labels[row], node.matching) for row in pairs.many])
    return merge_rows(result.compact())


def _pair(
    node: Binary, many: Vector, one: Vector, many_rows: dict[LabelKey, list[int]], one_rows: dict[LabelKey, list[int]]
) -> Pairs:
    many_index: list[int] = []
    one_index: list[int] = []
    labels: list[Labels] = []
    for key, rows in many_rows.items():
        for row in rows:
            for partner in one_rows.get(key, ()):
                many_index.append(row)
                one_index.append(partner)
                labels.append(result_labels(node, many.labels[row], one.labels[partner]))
    return Pairs(np.array(many_index, dtype=np.int64), np.array(one_index, dtype=np.int64), labels)


def result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    """The labels of a match: those of the many side, less what the operator drops, with what group_x includes."""
    matching = node.matching
    labels = dict(many)
    if node.op not in COMPARISONS or node.return_bool:
        labels.pop(METRIC_NAME, None)
    if matching.card == "one-to-one":
        labels = keep_labels(labels, matching.labels) if matching.on else drop_labels(labels, matching.labels)
    for name in matching.include:
        if one.get(name):
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return labels


def _check_one_side(node: Binary, many: Vector, one: Vector, one_rows: dict[LabelKey, list[int]]) -> None:
    side = "left" if node.matching.card == "one-to-many" else "right"
    some = many.present.any(axis=0)
    for key, rows in one_rows.items():
        if len(rows) > 1 and ((one.present[rows].sum(axis=0) > 1) & some).any():
            raise EvalError(
                f"found duplicate series for the match group {describe(dict(key))} "
                f"on the {side} hand-side of the operation: ["
                f"{describe(one.labels[rows[1]])}, {describe(one.labels[rows[0]])}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )


def _check_many_side(node: Binary, result: Vector, keys: list[LabelKey]) -> None:
    """Within a match group, one-to-one makes one sample per step, and many-to-one one per label set."""
    one_to_one = node.matching.card == "one-to-one"
    groups: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key if one_to_one else (key, label_key(result.labels[row])), []).append(row)
    for rows in groups.values():
        if len(rows) > 1 and (result.present[rows].sum(axis=0) > 1).any():
            if one_to_one:
                raise EvalError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            raise EvalError("multiple matches for labels: grouping labels must ensure unique matches")


def describe(labels: Labels) -> str:
    """Labels as the selector that names them."""
    name = labels.get(METRIC_NAME, "")
    inner = ", ".join(f'{key}="{value}"' for key, value in label_key(labels) if key != METRIC_NAME)
    return f"{name}{{{inner}}}"
