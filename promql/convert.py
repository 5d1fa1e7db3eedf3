"""From promql-parser's tree to ours: milliseconds, plain strings, places in the text."""

from datetime import UTC, datetime, timedelta

import promql_parser
import re2

from promql import syntax
from promql.errors import ParseError, UnsupportedError
from promql.labels import METRIC_NAME, Matcher, compile_anchored
from promql.lexer import Token
from promql.syntax import At, Matching, Node, Selector

# Python has room for about 1,000 calls on top of each other, and a level takes up to four.
MAX_LEVELS = 150
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Beyond this, sums of times and offsets leave 64-bit milliseconds.
MAX_MILLISECONDS = 2**53
# promql-parser's enums cannot be hashed; their texts can.
_MATCH_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
_CARDS = {
    "VectorMatchCardinality.OneToOne": "one-to-one",
    "VectorMatchCardinality.ManyToOne": "many-to-one",
    "VectorMatchCardinality.OneToMany": "one-to-many",
    "VectorMatchCardinality.ManyToMany": "many-to-many",
}
_TYPES = {
    "ValueType.Vector": "vector",
    "ValueType.Scalar": "scalar",
    "ValueType.Matrix": "matrix",
    "ValueType.String": "string",
}
_UNMATCHED = frozenset({"VectorMatchCardinality.OneToOne", "VectorMatchCardinality.ManyToMany"})
_NATIVE_ONLY = frozenset(("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"))


class Converter:
    """Walks in the order of the text, so the n-th node of a name has the place of its n-th token."""

    def __init__(self, found: list[Token], experimental: bool) -> None:
        self._places: dict[str, list[int]] = {}
        for token in found:
            if token.kind == "word":
                self._places.setdefault(token.text, []).append(token.position)
        self._experimental = experimental
        self._level = 0

    def convert(self, expr: promql_parser.Expr) -> Node:
        self._level += 1
        if self._level > MAX_LEVELS:
            raise ParseError(f"the query is nested more than {MAX_LEVELS} levels deep")
        node = self._convert(expr)
        self._level -= 1
        return node

    def _convert(self, expr: promql_parser.Expr) -> Node:
        match expr:
            case promql_parser.NumberLiteral():
                return syntax.Number(expr.val)
            case promql_parser.StringLiteral():
                return syntax.String(expr.val)
            case promql_parser.ParenExpr():
                return syntax.Paren(self.convert(expr.expr))
            case promql_parser.UnaryExpr():
                return syntax.Negate(self.convert(expr.expr))
            case promql_parser.VectorSelector():
                return self._selector(expr, None)
            case promql_parser.MatrixSelector():
                return self._selector(expr.vector_selector, _milliseconds(expr.range))
            case promql_parser.SubqueryExpr():
                return self._subquery(expr)
            case promql_parser.Call():
                return self._call(expr)
            case promql_parser.AggregateExpr():
                return self._aggregate(expr)
            case promql_parser.BinaryExpr():
                return self._binary(expr)
        raise UnsupportedError(f"{type(expr).__name__} is not supported")

    def _place(self, name: str) -> int | None:
        places = self._places.get(name)
        return places.pop(0) if places else None

    def _selector(self, expr: promql_parser.VectorSelector, range_ms: int | None) -> Selector:
        position = self._place(expr.name) if expr.name else None
        if expr.matchers.or_matchers:
            raise UnsupportedError(
                "`or` between matchers is no PromQL; use a regex, or `or` between selectors", position
            )
        matchers = [Matcher(METRIC_NAME, "=", expr.name)] if expr.name else []
        matchers += [Matcher(m.name, _MATCH_OPERATORS[repr(m.op)], m.value) for m in expr.matchers.matchers]
        for matcher in matchers:
            _check_regex(matcher, position)
        return Selector(
            matchers=tuple(matchers),
            range_ms=range_ms,
            offset_ms=_milliseconds(expr.offset),
            at=_at(expr.at, position),
            position=position,
        )

    def _subquery(self, expr: promql_parser.SubqueryExpr) -> syntax.Subquery:
        inner = self.convert(expr.expr)
        step_ms = None if expr.step is None else _milliseconds(expr.step)
        return syntax.Subquery(
            inner, _milliseconds(expr.range), step_ms, _milliseconds(expr.offset), _at(expr.at, None)
        )

    def _call(self, expr: promql_parser.Call) -> syntax.Call:
        name = expr.func.name
        position = self._place(name)
        if name in _NATIVE_ONLY:
            raise UnsupportedError(f"{name}() needs native histograms, which are not supported", position)
        if expr.func.experimental and not self._experimental:
            raise ParseError(f"{name}() is experimental and not switched on", position)
        return syntax.Call(name, tuple(self.convert(arg) for arg in expr.args), position)

    def _aggregate(self, expr: promql_parser.AggregateExpr) -> syntax.Aggregate:
        op = str(expr.op)
        position = self._place(op)
        if op in {"limitk", "limit_ratio"} and not self._experimental:
            raise ParseError(f"{op}() is experimental and not switched on", position)
        param = None if expr.param is None else self._param(expr.param)
        body = self.convert(expr.expr)
        by = expr.modifier is None or expr.modifier.type == promql_parser.AggModifierType.By
        grouping = tuple(expr.modifier.labels) if expr.modifier else ()
        return syntax.Aggregate(op, body, param, by, grouping, position)

    def _param(self, param: object) -> Node:
        if isinstance(param, str):
            return syntax.String(param)
        if isinstance(param, float | int):
            return syntax.Number(float(param))
        if isinstance(param, promql_parser.Expr):
            return self.convert(param)
        raise UnsupportedError(f"{type(param).__name__} as a parameter is not supported")

    def _binary(self, expr: promql_parser.BinaryExpr) -> syntax.Binary:
        left = self.convert(expr.lhs)
        right = self.convert(expr.rhs)
        op = str(expr.op)
        modifier = expr.modifier
        if modifier is None:
            return syntax.Binary(op, left, right, False, Matching())
        matched = bool(modifier.matching and modifier.matching.labels) or repr(modifier.card) not in _UNMATCHED
        if matched and "scalar" in {type_of(expr.lhs), type_of(expr.rhs)}:
            raise ParseError("vector matching only allowed between instant vectors")
        on = modifier.matching is not None and modifier.matching.type == promql_parser.LabelModifierType.Include
        fills = modifier.fill_values
        matching = Matching(
            on=on,
            labels=tuple(modifier.matching.labels) if modifier.matching else (),
            card=_CARDS[repr(modifier.card)],
            include=tuple(modifier.group_labels or ()),
            fill_left=fills.lhs if fills else None,
            fill_right=fills.rhs if fills else None,
        )
        return syntax.Binary(op, left, right, modifier.return_bool, matching)


def unwrap_parsed(parsed: promql_parser.Expr) -> promql_parser.Expr:
    """The expression without its parentheses."""
    while isinstance(parsed, promql_parser.ParenExpr):
        parsed = parsed.expr
    return parsed


def type_of(parsed: promql_parser.Expr) -> str:
    """vector, scalar, matrix or string."""
    match unwrap_parsed(parsed):
        case promql_parser.NumberLiteral():
            return "scalar"
        case promql_parser.StringLiteral():
            return "string"
        case promql_parser.MatrixSelector() | promql_parser.SubqueryExpr():
            return "matrix"
        case promql_parser.Call() as call:
            return _TYPES[repr(call.func.return_type)]
        case promql_parser.UnaryExpr() as unary:
            return type_of(unary.expr)
        case promql_parser.BinaryExpr() as binary:
            sides = {type_of(binary.lhs), type_of(binary.rhs)}
            return "scalar" if sides == {"scalar"} else "vector"
    return "vector"


def _milliseconds(duration: timedelta | None) -> int:
    if duration is None:
        return 0
    milliseconds = duration // _MILLISECOND
    if abs(milliseconds) > MAX_MILLISECONDS:
        raise UnsupportedError(f"a duration of {duration.days} days is too long")
    return milliseconds


def _at(at: promql_parser.AtModifier | None, position: int | None) -> At | None:
    if at is None:
        return None
    if at.type == promql_parser.AtModifierType.Start:
        return At("start")
    if at.type == promql_parser.AtModifierType.End:
        return At("end")
    moment = at.at
    if moment is None:
        raise ParseError("a time is missing after @", position)
    return At("at", (moment - _EPOCH) // _MILLISECOND)


def _check_regex(matcher: Matcher, position: int | None) -> None:
    if matcher.op not in {"=~", "!~"}:
        return
    try:
        compile_anchored(matcher.value)
    except re2.error as error:
        raise ParseError(f"illegal regex {matcher.value!r} for label {matcher.name}: {error}", position) from None
