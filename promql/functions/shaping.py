"""Functions that turn scalars into vectors and back, order series, and tell what is absent."""

import numpy as np

from promql.context import Evaluation
from promql.functions import histogram
from promql.functions.instant import clamp, clamp_is_empty, round_to
from promql.functions.special import Special
from promql.labels import METRIC_NAME, Labels, Matcher
from promql.syntax import Call, Node, Selector, unwrap
from promql.text_forms import format_openmetrics
from promql.values import Bools, Floats, Ints, Scalar, Vector, any_row, join, merge_rows


def vector(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    return Vector([{}], evaluation.scalar(call.args[0], times)[None, :], np.ones((1, times.size), dtype=bool))


def scalar(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    """The one sample of each step, NaN where there is none or more than one."""
    given = evaluation.vector(call.args[0], times)
    alone = given.present.sum(axis=0) == 1
    only = np.where(given.present, given.values, 0.0).sum(axis=0)
    return Scalar(np.where(alone, only, np.nan))


def timestamp(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    argument = unwrap(call.args[0])
    if isinstance(argument, Selector):
        stamps = evaluation.sample_times(argument, times)
        return stamps.nameless(stamps.values)
    given = evaluation.vector(argument, times)
    return given.nameless(np.broadcast_to(times / 1000, given.values.shape))


def round_(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    given = evaluation.vector(call.args[0], times)
    nearest = evaluation.scalar(call.args[1], times) if len(call.args) > 1 else np.ones(times.size)
    return given.nameless(round_to(given.values, nearest))


def clamp_(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    given = evaluation.vector(call.args[0], times)
    low, high = (evaluation.scalar(bound, times) for bound in call.args[1:])
    return given.nameless(clamp(given.values, low, high), given.present & ~clamp_is_empty(low, high)).compact()


def clamp_min(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    given = evaluation.vector(call.args[0], times)
    return given.nameless(np.maximum(given.values, evaluation.scalar(call.args[1], times)))


def clamp_max(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    given = evaluation.vector(call.args[0], times)
    return given.nameless(np.minimum(given.values, evaluation.scalar(call.args[1], times)))


def sort(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    evaluation.warn_of_sorting(call)
    return _by_value(evaluation.vector(call.args[0], times), 1.0)


def sort_desc(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    evaluation.warn_of_sorting(call)
    return _by_value(evaluation.vector(call.args[0], times), -1.0)


def _by_value(given: Vector, sign: float) -> Vector:
    """Order the rows of an instant vector by value, NaN last; a range query's result has no order."""
    if given.values.shape[1] != 1:
        return given
    return given.rows(np.argsort(sign * given.values[:, 0], kind="stable"))


def absent(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    given = evaluation.vector(call.args[0], times)
    return _absence(call.args[0], ~any_row(given.present))


def absent_over_time(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    there = np.zeros(times.size, dtype=bool)
    given = evaluation.range_vector(call.args[0], times)
    for block in given.blocks:
        if (windows := given.windows(block, times)) is not None:
            there |= any_row(windows.counts >= 1)
    return _absence(call.args[0], ~there)


def _absence(argument: Node, missing: Bools) -> Vector:
    selector = unwrap(argument)
    labels = equal_labels(selector.matchers) if isinstance(selector, Selector) else {}
    return Vector([labels], np.ones((1, missing.size)), missing[None, :]).compact()


def equal_labels(matchers: tuple[Matcher, ...]) -> Labels:
    """The labels that a selector fixes: named once, and by equality."""
    labels: Labels = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return {name: value for name, value in labels.items() if value}


def histogram_quantile(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    quantile: Floats = evaluation.scalar(call.args[0], times)
    return histogram.quantile(
        evaluation.vector(call.args[1], times),
        quantile,
        evaluation.notes.at(call.args[0]),
        evaluation.notes.at(call.args[1]),
    )


def histogram_quantiles(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    """Several quantiles at once, each under its own value of a label."""
    given = evaluation.vector(call.args[0], times)
    label = evaluation.label_name(call.args[1], "histogram_quantiles", "label name")
    notes = evaluation.notes.at(call.args[0])
    parts = []
    for arg in call.args[2:]:
        quantile = evaluation.scalar(arg, times)
        distinct = np.unique(quantile)
        evaluation.hold(len(given.labels) * distinct.size, times.size)
        for value in distinct:
            part = histogram.quantile(given, np.full(times.size, value), evaluation.notes.at(arg), notes)
            same = np.isnan(quantile) if np.isnan(value) else quantile == value
            labels = [{**row, label: format_openmetrics(float(value))} for row in part.labels]
            parts.append(Vector(labels, part.values, part.present & same, part.drops_name))
    return merge_rows(join(parts, times.size).compact())


def histogram_fraction(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    lower, upper = (evaluation.scalar(arg, times) for arg in call.args[:2])
    return histogram.fraction(evaluation.vector(call.args[2], times), lower, upper, evaluation.notes.at(call.args[2]))


SHAPING: dict[str, Special] = {
    "vector": vector,
    "scalar": scalar,
    "timestamp": timestamp,
    "round": round_,
    "clamp": clamp_,
    "clamp_min": clamp_min,
    "clamp_max": clamp_max,
    "sort": sort,
    "sort_desc": sort_desc,
    "absent": absent,
    "absent_over_time": absent_over_time,
    "histogram_quantile": histogram_quantile,
    "histogram_quantiles": histogram_quantiles,
    "histogram_fraction": histogram_fraction,
}
