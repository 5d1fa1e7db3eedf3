"""Text to Query, with errors that say where, and what was probably meant."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

import promql_parser

from promql import syntax
from promql.convert import Converter, type_of, unwrap_parsed
from promql.errors import ParseError, PromQLError, UnsupportedError
from promql.labels import METRIC_NAME, Matcher
from promql.lexer import AGGREGATIONS, MAX_TEXT, Token, check_brackets, check_times, find_unexpected, tokens
from promql.syntax import Node

# Prometheus 3 renamed holt_winters; rules written before still use the old name.
promql_parser.register_extra_functions(
    [
        promql_parser.Function(
            "holt_winters",
            [promql_parser.ValueType.Matrix, promql_parser.ValueType.Scalar, promql_parser.ValueType.Scalar],
            promql_parser.ValueType.Vector,
            experimental=True,
        )
    ]
)

T = TypeVar("T")
_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_CONSTANT_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


@dataclass(frozen=True, eq=False)
class Query:
    """A parsed query: `expr` is its tree (promql.syntax), `type` one of vector, scalar, matrix, string."""

    text: str
    expr: Node
    type: str
    parsed: promql_parser.Expr
    experimental: bool = False

    def pretty(self) -> str:
        """The query in canonical form, long ones over several lines."""
        canonical = self.parsed.prettify()
        return canonical if _reads(canonical) else self.text

    def metric_names(self) -> list[str]:
        """The metrics that its selectors name, in order of appearance; patterns are left out."""
        names: dict[str, None] = {}
        for node in syntax.walk(self.expr):
            if isinstance(node, syntax.Selector):
                names.update((m.value, None) for m in node.matchers if m.name == METRIC_NAME and m.op == "=")
        return [name for name in names if name]

    @cached_property
    def depth(self) -> int:
        """Levels of the expression."""
        return syntax.depth(self.expr)

    @cached_property
    def selectors(self) -> tuple[tuple[tuple[Matcher, ...], int], ...]:
        """Matchers and range (ms; 0 for an instant one) of each selector."""
        nodes = [node for node in syntax.walk(self.expr) if isinstance(node, syntax.Selector)]
        return tuple((node.matchers, node.range_ms or 0) for node in nodes)

    def comparison(self) -> "tuple[Query, str, float] | None":
        """(vector, operator, threshold) where the top of the query compares a vector with a number, else None."""
        parsed = unwrap_parsed(self.parsed)
        if not isinstance(parsed, promql_parser.BinaryExpr) or str(parsed.op) not in syntax.COMPARISONS:
            return None
        for side, other, op in (
            (parsed.lhs, parsed.rhs, str(parsed.op)),
            (parsed.rhs, parsed.lhs, _FLIPPED[str(parsed.op)]),
        ):
            threshold = _constant(other)
            if threshold is not None and type_of(side) == "vector" and _reads(side.prettify()):
                return parse(side.prettify(), experimental=self.experimental), op, threshold
        return None


def parse(text: str, *, experimental: bool = False) -> Query:
    """Read a query. Raises ParseError (with position and, for usual mistakes, a suggestion) or UnsupportedError.

    `experimental` admits the functions and aggregations that Prometheus keeps behind a flag.
    """
    return _parsed(text, experimental)


@lru_cache(maxsize=4096)
def _parsed(text: str, experimental: bool) -> Query:
    if len(text) > MAX_TEXT:
        raise ParseError(f"the query is longer than {MAX_TEXT} characters", MAX_TEXT)
    if not text.strip():
        raise ParseError("no expression found in the query", 0)
    found = list(tokens(text))
    check_brackets(found)
    check_times(found)
    try:
        parsed = _parse(text)
    except ValueError as error:
        raise _explain(text, found, str(error)) from None
    try:
        expr = _guarded(lambda: Converter(found, experimental).convert(parsed))
    except (OverflowError, ValueError):
        # The bindings raise these where a time or duration does not fit into Python's datetime.
        raise UnsupportedError("a time or a duration in the query is out of range") from None
    return Query(text, expr, type_of(parsed), parsed, experimental)


def _parse(text: str) -> promql_parser.Expr:
    return _guarded(lambda: promql_parser.parse(text))


def _reads(text: str) -> bool:
    """Whether the parser reads what it wrote itself: it leaves out `ignoring ()` before group_left, and needs it."""
    try:
        _parse(text)
    except (ValueError, PromQLError):
        return False
    return True


def _guarded(call: Callable[[], T]) -> T:
    """promql-parser can panic; pyo3 raises that outside Exception, and it would end a worker."""
    try:
        return call()
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UnsupportedError("the parser cannot read this query") from None


def _constant(parsed: promql_parser.Expr) -> float | None:
    """The value of an expression of numbers alone."""
    match unwrap_parsed(parsed):
        case promql_parser.NumberLiteral() as number:
            return number.val
        case promql_parser.UnaryExpr() as unary:
            inner = _constant(unary.expr)
            return None if inner is None else -inner
        case promql_parser.BinaryExpr() as binary if str(binary.op) in _CONSTANT_OPERATORS:
            left, right = _constant(binary.lhs), _constant(binary.rhs)
            return None if left is None or right is None else _CONSTANT_OPERATORS[str(binary.op)](left, right)
    return None


def _explain(text: str, found: list[Token], message: str) -> ParseError:
    """The parser's error, with the place in the text and the corrected query where we know them."""
    misplaced = _misplaced_grouping(found)
    if misplaced is not None:
        clause, _ = misplaced
        suggestion = suggest(text)
        return ParseError(
            f"`{clause.text} (…)` groups an aggregation such as sum, but stands after a function",
            clause.position,
            suggestion,
        )
    if message == "invalid promql query":
        position, what = find_unexpected(found, text)
        return ParseError(what, position)
    return ParseError(message, _place_of(message, found))


def _place_of(message: str, found: list[Token]) -> int | None:
    """Where the name that the message quotes stands."""
    for quoted in re.findall(r"'([^']+)'|regex for (.*)", message):
        name = quoted[0] or quoted[1]
        for token in found:
            if token.text == name or (token.kind == "string" and token.text[1:-1] == name):
                return token.position
    return None


def _misplaced_grouping(found: list[Token]) -> tuple[Token, Token] | None:
    """The first `by` or `without` that follows a call of a function, and the function's name."""
    opened: list[int] = []
    closed_by: int | None = None
    for index, token in enumerate(found):
        if token.text == "(":
            opened.append(index)
        elif token.text == ")":
            closed_by = opened.pop()
        elif token.text.lower() in {"by", "without"} and index and found[index - 1].text == ")" and closed_by:
            name = found[closed_by - 1]
            if name.kind == "word" and name.text.lower() not in AGGREGATIONS | _GROUPED:
                return token, name
    return None


_GROUPED = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless"})


def suggest(text: str) -> str | None:
    """The query with every `f(…) by (y)` turned into `sum by (y) (f(…))`, if that makes it valid PromQL."""
    for _ in range(10):
        if _reads(text):
            return text
        corrected = _correct_first(text)
        if corrected is None:
            return None
        text = corrected
    return None


def _correct_first(text: str) -> str | None:
    found = list(tokens(text))
    misplaced = _misplaced_grouping(found)
    if misplaced is None:
        return None
    clause, name = misplaced
    start = found.index(clause)
    if start + 1 >= len(found) or found[start + 1].text != "(":
        return None
    end = next((token for token in found[start + 1 :] if token.text == ")"), None)
    if end is None:
        return None
    call = text[name.position : clause.position].rstrip()
    labels = text[found[start + 1].end : end.position].strip()
    return text[: name.position] + _grouped(name.text, call, clause.text, labels) + text[end.end :]


def _grouped(function: str, call: str, clause: str, labels: str) -> str:
    """The call under an aggregation; a quantile keeps `le`, and aggregates below itself."""
    if function != "histogram_quantile":
        return f"sum {clause} ({labels}) ({call})"
    inner = list(tokens(call))
    comma = next((token for token in inner[2:] if token.text == ","), None)
    if comma is None:
        return f"sum {clause} ({labels}) ({call})"
    buckets = call[comma.end : inner[-1].position].strip()
    kept = [label for label in re.split(r"\s*,\s*", labels) if label and label != "le"]
    names = ", ".join(["le", *kept] if clause.lower() == "by" else kept)
    return f"{call[: comma.end]} sum {clause} ({names}) ({buckets}))"
