"""A condition such as an alert's, taken apart: what is measured, how it is compared, and with what."""

from collections.abc import Callable
from dataclasses import dataclass

from promql.syntax import COMPARISONS, Binary, Node, Number, Unary, unwrap

_CONSTANT_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


@dataclass(frozen=True)
class Condition:
    """The outermost comparison, and the `and`/`unless` operators on whose left it stands, the innermost first."""

    comparison: Binary
    demands: tuple[Binary, ...]

    @property
    def number(self) -> float | None:
        """The limit, where it is a number."""
        return constant(self.comparison.right)


def split_condition(expr: Node) -> Condition | None:
    """The condition of an expression; None where its outermost operator is no comparison."""
    demands: list[Binary] = []
    node = unwrap(expr)
    while isinstance(node, Binary) and node.op in {"and", "unless"}:
        demands.insert(0, node)
        node = unwrap(node.left)
    if not isinstance(node, Binary) or node.op not in COMPARISONS:
        return None
    return Condition(node, tuple(demands))


def constant(node: Node) -> float | None:
    """The value of an expression of numbers alone."""
    match unwrap(node):
        case Number(value=value):
            return value
        case Unary(op=op, expr=expr):
            inner = constant(expr)
            return -inner if inner is not None and op == "-" else inner
        case Binary(op=op, left=left, right=right) if op in _CONSTANT_OPERATORS:
            one, other = constant(left), constant(right)
            return None if one is None or other is None else _CONSTANT_OPERATORS[op](one, other)
    return None
