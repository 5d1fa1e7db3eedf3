"""A rule's expression: `$threshold` filled in, checked, and split into what a chart draws (the measured side) and its limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import promql_parser

import promql

PLACEHOLDER = "$threshold"
COMPARISONS = {">", "<", ">=", "<=", "==", "!="}


class ExpressionError(ValueError):
    """The expression cannot be used; the message says what is wrong, `field` where: expr or threshold."""

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
    """The condition of an expanded expression: its outermost comparison, on the left of `and`/`unless`; None without one.

    ExpressionError when it is not PromQL.
    """
    node = _parse(expr).parsed
    while True:
        if isinstance(node, promql_parser.ParenExpr):
            node = node.expr
        elif isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {"and", "unless"}:
            node = node.lhs
        else:
            break
    if not isinstance(node, promql_parser.BinaryExpr) or str(node.op) not in COMPARISONS:
        return None
    limit = node.rhs
    number = float(limit.val) if isinstance(limit, promql_parser.NumberLiteral) else None
    return Comparison(node.lhs.prettify(), str(node.op), limit.prettify(), number)


def _parse(text: str) -> promql.Query:
    try:
        return promql.parse(text)
    except promql.PromQLError as error:
        raise ExpressionError(f"not PromQL: {error}", "expr") from None
