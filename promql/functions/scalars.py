"""Functions that answer a scalar: of the evaluation itself, and of other scalars."""

import numpy as np

from promql.context import Evaluation
from promql.functions.special import Special
from promql.syntax import Call
from promql.values import Floats, Ints, Scalar


def _constant(value: float, times: Ints) -> Scalar:
    return Scalar(np.full(times.size, value))


def time(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return Scalar(times / 1000)


def pi(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return _constant(np.pi, times)


def start(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return _constant(evaluation.start_ms / 1000, times)


def end(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return _constant(evaluation.end_ms / 1000, times)


def range_(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return _constant((evaluation.end_ms - evaluation.start_ms) / 1000, times)


def step(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    return _constant(evaluation.step_ms / 1000, times)


def max_of(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    left, right = _both(evaluation, call, times)
    return Scalar(np.maximum(left, right))


def min_of(evaluation: Evaluation, call: Call, times: Ints) -> Scalar:
    left, right = _both(evaluation, call, times)
    return Scalar(np.minimum(left, right))


def _both(evaluation: Evaluation, call: Call, times: Ints) -> tuple[Floats, Floats]:
    return evaluation.scalar(call.args[0], times), evaluation.scalar(call.args[1], times)


SCALARS: dict[str, Special] = {
    "time": time,
    "pi": pi,
    "start": start,
    "end": end,
    "range": range_,
    "step": step,
    "max_of": max_of,
    "min_of": min_of,
}
