"""Functions on labels: label_replace, label_join, sort_by_label."""

import re
from collections.abc import Iterable, Iterator
from functools import cmp_to_key
from typing import Any

import numpy as np
import re2

from promql.context import Evaluation
from promql.errors import EvalError
from promql.functions.special import Special
from promql.labels import METRIC_NAME, Labels, compile_anchored, label_order
from promql.syntax import Call
from promql.values import Ints, Vector, merge_rows

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")
# A few short queries, one in another, could otherwise double a value until memory ends.
MAX_VALUE = 65_536
_DIGITS_OR_TEXT = re.compile(r"\d+|\D+")


def label_replace(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    replacement, source, pattern = (evaluation.text(arg) for arg in call.args[2:])
    try:
        regex = compile_anchored(pattern)
    except re2.error:
        raise EvalError(f"invalid regular expression in label_replace(): {pattern}") from None
    target = evaluation.label_name(call.args[1], "label_replace", "destination label name")
    given = evaluation.vector(call.args[0], times)
    labels, drops_name = list(given.labels), given.names_dropped().copy()
    for row, own in enumerate(given.labels):
        match = regex.search(own.get(source, ""))
        if match is not None:
            labels[row] = with_label(own, target, bounded(expand(replacement, match, regex)))
            # A name that is given here stays.
            drops_name[row] &= target != METRIC_NAME
    return merge_rows(Vector(labels, given.values, given.present, drops_name))


def bounded(parts: Iterable[str]) -> str:
    """The parts joined. Raises EvalError where they are longer than a label value may be."""
    value: list[str] = []
    length = 0
    for part in parts:
        value.append(part)
        length += len(part)
        if length > MAX_VALUE:
            raise EvalError(f"a label value of more than {MAX_VALUE} characters")
    return "".join(value)


def expand(template: str, match: Any, regex: Any) -> Iterator[str]:
    """The parts of the template, $1, $name, ${name} as the groups of a match; a group that is not there is empty."""

    position = 0
    for reference in _REFERENCE.finditer(template):
        yield template[position : reference.start()]
        position = reference.end()
        name = reference[1] or reference[2]
        if name is None:
            yield "$"
        elif name.isdecimal():
            yield (match.group(int(name)) or "") if len(name) < 5 and int(name) <= regex.groups else ""
        else:
            yield (match.group(name) or "") if name in regex.groupindex else ""
    yield template[position:]


def label_join(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    target = evaluation.label_name(call.args[1], "label_join", "destination label name")
    separator = evaluation.text(call.args[2])
    sources = [evaluation.label_name(arg, "label_join", "source label name") for arg in call.args[3:]]
    given = evaluation.vector(call.args[0], times)
    joined = [
        with_label(labels, target, bounded(_joined([labels.get(source, "") for source in sources], separator)))
        for labels in given.labels
    ]
    drops_name = given.drops_name if target != METRIC_NAME else False
    return merge_rows(Vector(joined, given.values, given.present, drops_name))


def _joined(values: list[str], separator: str) -> Iterator[str]:
    for place, value in enumerate(values):
        if place:
            yield separator
        yield value


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one set, or removed where the value is empty."""
    changed = {**labels, name: value}
    if not value:
        del changed[name]
    return changed


def sort_by_label(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    return _sorted(evaluation, call, times, descending=False)


def sort_by_label_desc(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    return _sorted(evaluation, call, times, descending=True)


def _sorted(evaluation: Evaluation, call: Call, times: Ints, descending: bool) -> Vector:
    """Order by these labels' values as people order them (a2 before a10), then by all labels."""
    evaluation.warn_of_sorting(call)
    names = [evaluation.text(arg) for arg in call.args[1:]]
    given = evaluation.vector(call.args[0], times)
    natural = cmp_to_key(compare_natural)
    rows = sorted(
        range(len(given.labels)),
        key=lambda row: ([natural(given.labels[row].get(name, "")) for name in names], label_order(given.labels[row])),
        reverse=descending,
    )
    return given.rows(np.array(rows, dtype=np.int64))


def compare_natural(left: str, right: str) -> int:
    for one, other in zip(_DIGITS_OR_TEXT.findall(left), _DIGITS_OR_TEXT.findall(right), strict=False):
        if one.isdecimal() and other.isdecimal() and int(one) != int(other):
            return -1 if int(one) < int(other) else 1
        if one != other:
            return -1 if one < other else 1
    return (len(left) > len(right)) - (len(left) < len(right))


RELABEL: dict[str, Special] = {
    "label_replace": label_replace,
    "label_join": label_join,
    "sort_by_label": sort_by_label,
    "sort_by_label_desc": sort_by_label_desc,
}
