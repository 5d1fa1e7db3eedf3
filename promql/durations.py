"""The milliseconds of computed durations, some of which are known only when a query is evaluated."""

import math
from dataclasses import replace

from promql.errors import EvalError
from promql.syntax import Aggregate, Binary, Call, Duration, Node, Paren, Selector, Subquery, Unary

# Beyond this, sums of times and offsets leave 64-bit milliseconds.
MAX_MILLISECONDS = 2**53


def is_open(duration: Duration) -> bool:
    """Whether it depends on the step or the range of the evaluation."""
    if duration.op in {"step", "range"}:
        return True
    return any(side is not None and is_open(side) for side in (duration.left, duration.right))


def milliseconds(duration: Duration, step_ms: int = 0, range_ms: int = 0, *, positive: bool) -> int:
    """The duration in an evaluation of this step and range. Raises EvalError where it is none."""
    value = _seconds(duration, step_ms / 1000, range_ms / 1000) * 1000
    if not abs(value) <= MAX_MILLISECONDS:
        raise EvalError("duration out of range")
    if positive and round(value) <= 0:
        raise EvalError("duration must be greater than 0")
    return round(value)


def _seconds(duration: Duration, step: float, span: float) -> float:
    if duration.op == "number":
        return duration.value
    if duration.op in {"step", "range"}:
        return step if duration.op == "step" else span
    right = 0.0 if duration.right is None else _seconds(duration.right, step, span)
    if duration.left is None:
        return -right
    left = _seconds(duration.left, step, span)
    match duration.op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "min_of":
            return min(left, right)
        case "max_of":
            return max(left, right)
        case "/" | "%" if right == 0:
            raise EvalError("division by zero in a duration" if duration.op == "/" else "modulo by zero in a duration")
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
    try:
        power = left**right
    except (OverflowError, ZeroDivisionError):
        raise EvalError("duration out of range") from None
    return math.nan if isinstance(power, complex) else power


def resolve(node: Node, step_ms: int, range_ms: int) -> Node:
    """The tree with every duration in milliseconds, for an evaluation of this step and range. Raises EvalError."""
    match node:
        case Selector():
            return _resolve_selector(node, step_ms, range_ms)
        case Subquery():
            return _resolve_subquery(node, step_ms, range_ms)
        case Call():
            return replace(node, args=tuple(resolve(arg, step_ms, range_ms) for arg in node.args))
        case Aggregate():
            param = None if node.param is None else resolve(node.param, step_ms, range_ms)
            return replace(node, expr=resolve(node.expr, step_ms, range_ms), param=param)
        case Binary():
            left, right = resolve(node.left, step_ms, range_ms), resolve(node.right, step_ms, range_ms)
            return replace(node, left=left, right=right)
        case Paren() | Unary():
            return replace(node, expr=resolve(node.expr, step_ms, range_ms))
    return node


def _resolve_selector(node: Selector, step_ms: int, range_ms: int) -> Selector:
    if node.range_expr is not None:
        node = replace(node, range_ms=milliseconds(node.range_expr, step_ms, range_ms, positive=True))
    if node.offset_expr is not None:
        node = replace(node, offset_ms=milliseconds(node.offset_expr, step_ms, range_ms, positive=False))
    return node


def _resolve_subquery(node: Subquery, step_ms: int, range_ms: int) -> Subquery:
    node = replace(node, expr=resolve(node.expr, step_ms, range_ms))
    if node.range_expr is not None:
        node = replace(node, range_ms=milliseconds(node.range_expr, step_ms, range_ms, positive=True))
    if node.step_expr is not None:
        node = replace(node, step_ms=milliseconds(node.step_expr, step_ms, range_ms, positive=True))
    if node.offset_expr is not None:
        node = replace(node, offset_ms=milliseconds(node.offset_expr, step_ms, range_ms, positive=False))
    return node
