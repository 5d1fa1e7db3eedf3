"""A rule's expression: `$threshold` filled in, checked, and split into what a chart draws (the measured side) and its
limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import promql
from promql.syntax import Binary, Call, Matching, unwrap

PLACEHOLDER = "$threshold"


class ExpressionError(ValueError):
    """The expression cannot be used; the message describes the problem, `field` where: expr or threshold."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True)
class Comparison:
    """An alerting condition, split. `limit` is PromQL too; `number` is its value where it is a plain number."""

    measured: str
    operator: str
    limit: str
    number: float | None
    is_bool: bool = False


def expand(expr: str, threshold: float | None) -> str:
    """The expression with its threshold filled in; ExpressionError when one of the two is missing."""
    if PLACEHOLDER not in expr:
        if threshold is not None:
            raise ExpressionError(f"a threshold is given, but the expression has no {PLACEHOLDER}", "threshold")
        return expr
    if threshold is None:
        raise ExpressionError(f"the expression has {PLACEHOLDER}, so a threshold is needed", "threshold")
    if not math.isfinite(threshold):
        raise ExpressionError("the threshold must be a finite number", "threshold")
    number = repr(int(threshold)) if threshold == int(threshold) and abs(threshold) < 1e15 else repr(threshold)
    return expr.replace(PLACEHOLDER, number)


def check(expr: str, threshold: float | None) -> str:
    """The expression with its threshold, known to be PromQL; ExpressionError otherwise."""
    text = expand(expr, threshold)
    _parse(text)
    return text


def split(expr: str) -> Comparison | None:
    """The condition of an expanded expression: its outermost comparison, on the left of `and`/`unless`; None without
    one.

    ExpressionError when it is not PromQL.
    """
    condition = promql.split_condition(_parse(expr).expr)
    if condition is None:
        return None
    found = condition.comparison
    measured, limit = promql.format_node(found.left), promql.format_node(found.right)
    return Comparison(measured, found.op, limit, condition.number, found.return_bool)


def distance(measured: str) -> tuple[str, str] | None:
    """The two sides of a measured side that is the distance of one thing from another, `abs(one - other)`: its limit is
    then a band around the other. None for what is no distance."""
    found = unwrap(promql.parse(measured).expr)
    if not isinstance(found, Call) or found.function != "abs":
        return None
    inner = unwrap(found.args[0])
    if not isinstance(inner, Binary) or inner.op != "-" or inner.matching != Matching():
        return None
    return promql.format_node(inner.left), promql.format_node(inner.right)


def _parse(text: str) -> promql.Query:
    try:
        return promql.parse(text)
    except promql.PromQLError as error:
        raise ExpressionError(f"not PromQL: {error}", "expr") from None
