"""Vector matching: which series of one side are combined with which of the other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from promql.errors import EvalError
from promql.labels import (
    METADATA,
    METRIC_NAME,
    LabelKey,
    Labels,
    LabelSets,
    derive,
    drop_labels,
    keep_labels,
    label_key,
    label_order,
)
from promql.parser.strings import quote
from promql.syntax import COMPARISONS, Binary, Matching
from promql.values import Bools, Floats, Ints, Vector, any_row, empty_vector, join, merge_rows, pick_rows

Outcome = Callable[[Floats, Floats], tuple[Floats, Bools]]
Rows = dict[LabelKey, list[int]]


def signature(labels: Labels, matching: Matching) -> LabelKey:
    """The labels by which a series is matched."""
    if matching.on:
        return label_key(keep_labels(labels, matching.labels))
    return label_key(drop_labels(labels, (*matching.labels, *METADATA)))


def by_signature(vector: Vector, matching: Matching) -> Rows:
    """The rows of each match group."""
    return derive(vector.labels, ("signatures", matching), lambda: _by_signature(vector, matching))


def _by_signature(vector: Vector, matching: Matching) -> Rows:
    rows: Rows = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(signature(labels, matching), []).append(row)
    return rows


@dataclass
class MatchedPairs:
    """Pairs of series that match: values of the many side and of the one side, where both are present, result labels
    and match group."""

    labels: list[Labels]
    keys: list[LabelKey]
    many: Floats
    one: Floats
    present: Bools
    drops_name: Bools | bool


def match_vectors(
    node: Binary, left: Vector, right: Vector, outcome: Outcome, hold: Callable[[int, int], None]
) -> Vector:
    """Apply an operator to every pair of series that match. Raises EvalError where a match is ambiguous.

    `hold` receives the size of the matrix of pairs before it is made.
    """
    steps = left.present.shape[1]
    swapped = node.matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    fills = node.matching.fill_left is not None or node.matching.fill_right is not None
    if not fills and not (many.labels and one.labels):
        return empty_vector(steps)
    one_rows = by_signature(one, node.matching)
    many_rows = by_signature(many, node.matching)
    _check_one_side(node, many, one, one_rows)
    hold(sum(len(rows) * len(one_rows.get(key, ())) for key, rows in many_rows.items()), steps)
    parts = [_pair(node, many, one, many_rows, one_rows)]
    if node.matching.fill_right is not None:
        parts.append(_fill_one_side(node, many, one, many_rows, one_rows, node.matching.fill_right))
    if node.matching.fill_left is not None:
        parts.append(_fill_many_side(node, many, one, many_rows, one_rows, node.matching.fill_left))
    for_all = join([Vector(part.labels, part.many, part.present) for part in parts], steps)
    _check_many_side(node, for_all, [key for part in parts for key in part.keys])
    return merge_rows(join([_apply(part, outcome, swapped) for part in parts], steps).compact())


def _apply(pairs: MatchedPairs, outcome: Outcome, swapped: bool) -> Vector:
    values, kept = outcome(pairs.one, pairs.many) if swapped else outcome(pairs.many, pairs.one)
    return Vector(pairs.labels, values, pairs.present & kept, pairs.drops_name)


def _pair(node: Binary, many: Vector, one: Vector, many_rows: Rows, one_rows: Rows) -> MatchedPairs:
    last = derive(many.labels, ("meeting", node.matching), MatchCache)
    met = last.met
    if met is None or met.other is not one.labels:
        last.met = met = _meet(node, many, one, many_rows, one_rows)
    return MatchedPairs(
        met.labels,
        met.keys,
        many.values[met.many],
        one.values[met.one],
        many.present[met.many] & one.present[met.one],
        _names_dropped(node, many, met.many),
    )


def _names_dropped(node: Binary, many: Vector, rows: Ints) -> Bools | bool:
    """Whether the results of these rows lose their metric name; a name that `group_left (__name__)` copied stays."""
    if METRIC_NAME in node.matching.include:
        return False
    return True if _drops_name(node) else pick_rows(many.drops_name, rows)


@dataclass
class MatchedRows:
    """Which rows of the two sides match, their match groups and result labels; `other` are the one side's labels."""

    other: list[Labels]
    labels: list[Labels]
    keys: list[LabelKey]
    many: Ints
    one: Ints


@dataclass
class MatchCache:
    """Holds only the latest match, not one for every list of labels on the other side."""

    met: MatchedRows | None = None


def _meet(node: Binary, many: Vector, one: Vector, many_rows: Rows, one_rows: Rows) -> MatchedRows:
    found = [
        (key, row, partner) for key, rows in many_rows.items() for row in rows for partner in one_rows.get(key, ())
    ]
    return MatchedRows(
        one.labels,
        LabelSets(result_labels(node, many.labels[row], one.labels[partner]) for _, row, partner in found),
        [key for key, _, _ in found],
        np.array([row for _, row, _ in found], dtype=np.int64),
        np.array([partner for _, _, partner in found], dtype=np.int64),
    )


def _fill_one_side(
    node: Binary, many: Vector, one: Vector, many_rows: Rows, one_rows: Rows, value: float
) -> MatchedPairs:
    """Every series of the many side with a partner of this value, at the steps where it has none.

    As in Prometheus, `fill_right` fills the one side also under group_right.
    """
    found = [(key, row) for key, rows in many_rows.items() for row in rows]
    index = np.array([row for _, row in found], dtype=np.int64)
    partner = [any_row(one.present[one_rows.get(key, [])]) for key, _ in found]
    missing = ~np.stack(partner) if partner else np.zeros((0, many.present.shape[1]), dtype=bool)
    values = many.values[index]
    labels = [result_labels(node, many.labels[row], {}) for _, row in found]
    return MatchedPairs(
        labels,
        [key for key, _ in found],
        values,
        np.full_like(values, value),
        many.present[index] & missing,
        _names_dropped(node, many, index),
    )


def _fill_many_side(
    node: Binary, many: Vector, one: Vector, many_rows: Rows, one_rows: Rows, value: float
) -> MatchedPairs:
    """Every series of the one side with a partner of this value under the match group's labels, where it has none."""
    found = [(key, row) for key, rows in one_rows.items() for row in rows]
    index = np.array([row for _, row in found], dtype=np.int64)
    partner = [any_row(many.present[many_rows.get(key, [])]) for key, _ in found]
    missing = ~np.stack(partner) if partner else np.zeros((0, many.present.shape[1]), dtype=bool)
    values = one.values[index]
    labels = [result_labels(node, dict(key), one.labels[row]) for key, row in found]
    return MatchedPairs(
        labels, [key for key, _ in found], np.full_like(values, value), values, one.present[index] & missing, True
    )


def result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    """The labels of a match: those of the many side that the matching keeps, with what group_x includes."""
    matching = node.matching
    labels = dict(many)
    if matching.card == "one-to-one":
        labels = keep_labels(labels, matching.labels) if matching.on else drop_labels(labels, matching.labels)
    for name in matching.include:
        if one.get(name):
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return labels


def _drops_name(node: Binary) -> bool:
    return node.op not in COMPARISONS or node.return_bool


def _check_one_side(node: Binary, many: Vector, one: Vector, one_rows: Rows) -> None:
    """Raise EvalError where a match group has two series on the one side: Prometheus names those that it meets first,
    step by step and series by series."""
    some = many.present.any(axis=0)
    twins: list[tuple[int, list[tuple[str, str]], list[tuple[str, str]], LabelKey]] = []
    for key, rows in one_rows.items():
        if len(rows) > 1 and (steps := np.flatnonzero((one.present[rows].sum(axis=0) > 1) & some)).size:
            step = int(steps[0])
            first, second = sorted(label_order(one.labels[row]) for row in rows if one.present[row, step])[:2]
            twins.append((step, second, first, key))
    if twins:
        _, second, first, key = min(twins)
        side = "left" if node.matching.card == "one-to-many" else "right"
        raise EvalError(
            f"found duplicate series for the match group {describe(dict(key))} "
            f"on the {side} hand-side of the operation: [{describe(dict(second))}, {describe(dict(first))}];"
            "many-to-many matching not allowed: matching labels must be unique on one side"
        )


def _check_many_side(node: Binary, result: Vector, keys: list[LabelKey]) -> None:
    """Raise EvalError where a match group has more than one pair at a step (one-to-one), or more than one per label set
    (many-to-one)."""
    one_to_one = node.matching.card == "one-to-one"
    if len(set(keys)) == len(keys):
        return
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
    """Labels as Prometheus's errors write them."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in label_order(labels)) + "}"
