"""Text to Query."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from promql import syntax
from promql.durations import is_open
from promql.errors import ParseError, PromQLError, UnsupportedError
from promql.labels import METRIC_NAME, Matcher
from promql.parser.check import type_of
from promql.parser.grammar import Grammar
from promql.parser.lexer import MAX_TEXT
from promql.parser.mistakes import explain
from promql.parser.printer import pretty
from promql.syntax import Node


@dataclass(frozen=True, eq=False)
class Query:
    """A parsed query: `expr` is its tree (promql.syntax), `type` one of vector, scalar, matrix, string."""

    text: str
    expr: Node
    type: str
    experimental: bool = False

    def pretty(self) -> str:
        """The query in canonical form, long ones over several lines."""
        return pretty(self.expr)

    def metric_names(self) -> list[str]:
        """The metrics that its selectors name, in order of appearance; patterns are left out."""
        names = (m.value for matchers, _ in self.selectors for m in matchers if m.name == METRIC_NAME and m.op == "=")
        return [name for name in dict.fromkeys(names) if name]

    @cached_property
    def depth(self) -> int:
        """Levels of the expression."""
        return max(level for level, _ in self._nodes)

    @cached_property
    def selectors(self) -> tuple[tuple[tuple[Matcher, ...], int], ...]:
        """Matchers and range (ms; 0 for an instant one) of each selector."""
        found = (node for _, node in self._nodes if isinstance(node, syntax.Selector))
        return tuple((node.matchers, node.range_ms or 0) for node in found)

    @cached_property
    def has_open_durations(self) -> bool:
        """Whether a range, step or offset depends on the step or range of the evaluation."""
        return any(
            duration is not None and is_open(duration)
            for _, node in self._nodes
            if isinstance(node, syntax.Selector | syntax.Subquery)
            for duration in syntax.durations(node)
        )

    @cached_property
    def _nodes(self) -> list[tuple[int, Node]]:
        """Every node with its level, in the order of the text."""
        found: list[tuple[int, Node]] = []
        waiting = [(1, self.expr)]
        while waiting:
            level, node = waiting.pop()
            found.append((level, node))
            waiting += [(level + 1, child) for child in reversed(syntax.children(node))]
        return found


def parse(text: str, *, experimental: bool = False) -> Query:
    """Read a query. Raises ParseError (with position and, for usual mistakes, a suggestion) or UnsupportedError.

    `experimental` admits what Prometheus keeps behind a flag: some functions and aggregations, computed durations,
    `anchored` and `smoothed` ranges.
    """
    return _parsed(text, experimental)


@lru_cache(maxsize=4096)
def _parsed(text: str, experimental: bool) -> Query:
    if len(text) > MAX_TEXT:
        raise ParseError(f"the query is longer than {MAX_TEXT} characters", MAX_TEXT)
    if not text.strip():
        raise ParseError("no expression found in the query", 0)
    try:
        expr = Grammar(text, experimental).parse()
    except UnsupportedError:
        raise
    except ParseError as error:
        raise explain(text, error, lambda other: _is_promql(other, experimental)) from None
    return Query(text, expr, type_of(expr), experimental)


def _is_promql(text: str, experimental: bool) -> bool:
    try:
        Grammar(text, experimental).parse()
    except PromQLError:
        return False
    return True
