"""The syntax tree of a query. Every node knows its place: the characters `start` to `end` of the text."""

from collections.abc import Iterator
from dataclasses import dataclass

from promql.labels import Matcher

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, eq=False, slots=True)
class Number:
    """A number; `is_duration` where it is written as one (`5m` is 300)."""

    value: float
    start: int = 0
    end: int = 0
    is_duration: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class String:
    """A text. Bytes that are no UTF-8 are U+FFFD in `value`; `is_utf8` says that there were none."""

    value: str
    start: int = 0
    end: int = 0
    is_utf8: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Duration:
    """A duration, in seconds, that is computed: `op` is number, step, range, min_of, max_of or an arithmetic operator.

    A sign before an operand is an operator without a left side.
    """

    op: str
    left: "Duration | None" = None
    right: "Duration | None" = None
    value: float = 0.0
    is_duration: bool = False
    start: int = 0
    end: int = 0
    wrapped: bool = False


@dataclass(frozen=True)
class At:
    """`@ 1700000000` (moment "at"), `@ start()`, `@ end()`."""

    moment: str
    at_ms: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Selector:
    """`metric{matchers}`; with `range_ms` it selects a range of samples, else the latest one.

    `extension` is "anchored", "smoothed" or "". Where the range or the offset is computed, its expression stands in
    `range_expr` or `offset_expr`; what depends on the evaluation (`step()`, `range()`) has 0 ms until
    `promql.durations.resolve` has seen it.
    """

    matchers: tuple[Matcher, ...]
    range_ms: int | None = None
    offset_ms: int = 0
    at: At | None = None
    start: int = 0
    end: int = 0
    extension: str = ""
    range_expr: Duration | None = None
    offset_expr: Duration | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Subquery:
    """`expr[range:step]`; without a step, the evaluation's default. The computed durations are as a Selector's."""

    expr: "Node"
    range_ms: int
    step_ms: int | None
    offset_ms: int = 0
    at: At | None = None
    start: int = 0
    end: int = 0
    range_expr: Duration | None = None
    step_expr: Duration | None = None
    offset_expr: Duration | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    function: str
    args: tuple["Node", ...]
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Aggregate:
    """`op by (grouping) (param, expr)`; `by` false means `without`."""

    op: str
    expr: "Node"
    param: "Node | None"
    by: bool
    grouping: tuple[str, ...]
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Matching:
    """How two vectors meet: `on` (else ignoring) these labels, one or many per side, fills for the missing."""

    on: bool = False
    labels: tuple[str, ...] = ()
    card: str = "one-to-one"
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Binary:
    op: str
    left: "Node"
    right: "Node"
    return_bool: bool
    matching: Matching
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Unary:
    """`-expr` or `+expr`."""

    op: str
    expr: "Node"
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Paren:
    expr: "Node"
    start: int = 0
    end: int = 0


Node = Number | String | Selector | Subquery | Call | Aggregate | Binary | Unary | Paren


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order of the text."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Aggregate):
        return (node.expr,) if node.param is None else (node.param, node.expr)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Subquery | Unary | Paren):
        return (node.expr,)
    return ()


def durations(node: Selector | Subquery) -> tuple[Duration | None, ...]:
    """The computed durations of a node."""
    if isinstance(node, Selector):
        return (node.range_expr, node.offset_expr)
    return (node.range_expr, node.step_expr, node.offset_expr)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def unwrap(node: Node) -> Node:
    """The node without its parentheses."""
    while isinstance(node, Paren):
        node = node.expr
    return node
