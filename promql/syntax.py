"""The syntax tree: promql-parser's, with every duration in milliseconds and every name at its place in the text."""

from collections.abc import Iterator
from dataclasses import dataclass

from promql.labels import Matcher


@dataclass(frozen=True, eq=False)
class Number:
    value: float


@dataclass(frozen=True, eq=False)
class String:
    value: str


@dataclass(frozen=True)
class At:
    """`@ 1700000000` (moment "at"), `@ start()`, `@ end()`."""

    moment: str
    at_ms: int = 0


@dataclass(frozen=True, eq=False)
class Selector:
    """`metric{matchers}`; with `range_ms` it selects a range of samples, else the latest one."""

    matchers: tuple[Matcher, ...]
    range_ms: int | None
    offset_ms: int
    at: At | None
    position: int | None = None


@dataclass(frozen=True, eq=False)
class Subquery:
    expr: "Node"
    range_ms: int
    step_ms: int | None
    offset_ms: int
    at: At | None


@dataclass(frozen=True, eq=False)
class Call:
    function: str
    args: tuple["Node", ...]
    position: int | None = None


@dataclass(frozen=True, eq=False)
class Aggregate:
    """`op by (grouping) (param, expr)`; `by` false means `without`."""

    op: str
    expr: "Node"
    param: "Node | None"
    by: bool
    grouping: tuple[str, ...]
    position: int | None = None


@dataclass(frozen=True)
class Matching:
    """How two vectors meet: `on` (else ignoring) these labels, one or many per side, fills for the missing."""

    on: bool = False
    labels: tuple[str, ...] = ()
    card: str = "one-to-one"
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, eq=False)
class Binary:
    op: str
    left: "Node"
    right: "Node"
    return_bool: bool
    matching: Matching


@dataclass(frozen=True, eq=False)
class Negate:
    expr: "Node"


@dataclass(frozen=True, eq=False)
class Paren:
    expr: "Node"


Node = Number | String | Selector | Subquery | Call | Aggregate | Binary | Negate | Paren

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order of the text."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Aggregate):
        return (node.expr,) if node.param is None else (node.param, node.expr)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Subquery | Negate | Paren):
        return (node.expr,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def depth(node: Node) -> int:
    """Levels of the tree, the node's own included."""
    return 1 + max((depth(child) for child in children(node)), default=0)


def unwrap(node: Node) -> Node:
    """The node without its parentheses."""
    while isinstance(node, Paren):
        node = node.expr
    return node
