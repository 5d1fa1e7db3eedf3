"""The grammar of PromQL: a parser by operator precedence (Pratt) that builds checked nodes."""

from dataclasses import replace

from promql.errors import ParseError
from promql.parser.check import check_aggregate, check_binary, check_call, check_subquery, check_unary
from promql.parser.cursor import Cursor
from promql.parser.lexer import Token
from promql.parser.modifiers import Modifiers
from promql.parser.numbers import parse_duration, parse_number
from promql.parser.selectors import SelectorGrammar
from promql.parser.signatures import AGGREGATIONS
from promql.parser.strings import unquote
from promql.syntax import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Matching,
    Node,
    Number,
    Paren,
    String,
    Subquery,
    Unary,
    children,
)

# Python has room for about 1,000 calls on top of each other, and a level takes up to four.
MAX_LEVELS = 150
PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
# A sign binds as * does: -x ^ 2 is -(x ^ 2).
_SIGN = 6
_RESERVED = frozenset({"atan2", "bool", "group_left", "group_right", "ignoring", "on"})


class Grammar:
    """Reads one query. `experimental` admits what Prometheus keeps behind a flag."""

    def __init__(self, text: str, experimental: bool) -> None:
        self._cursor = Cursor(text)
        self._experimental = experimental
        self._selectors = SelectorGrammar(self._cursor)
        self._modifiers = Modifiers(self._cursor, experimental)
        self._level = 0
        # Nodes are kept beside their depths so that no other node gets the same id.
        self._depths: dict[int, tuple[int, Node]] = {}

    def parse(self) -> Node:
        """The whole query. Raises ParseError or UnsupportedError."""
        node = self._expression()
        if self._cursor.current.kind != "end":
            raise self._cursor.unexpected("", "")
        return node

    def _expression(self, minimum: int = 1) -> Node:
        """An expression of operators that bind at least as strongly as `minimum`."""
        cursor = self._cursor
        self._level += 1
        if self._level > MAX_LEVELS:
            raise ParseError(f"the query is nested more than {MAX_LEVELS} levels deep", cursor.current.start)
        left = self._operand()
        while (precedence := self._precedence(cursor.current)) >= minimum:
            operator = cursor.take()
            op = operator.text.lower()
            return_bool, matching = self._matching(op)
            right = self._expression(precedence if op == "^" else precedence + 1)
            binary = Binary(op, left, right, return_bool, matching, left.start, right.end)
            check_binary(binary, operator.start)
            left = self._bounded(binary)
        self._level -= 1
        return left

    @staticmethod
    def _precedence(token: Token) -> int:
        if token.kind == "operator":
            return PRECEDENCE.get(token.text, 0)
        return PRECEDENCE.get(token.text.lower(), 0) if token.kind == "word" else 0

    def _bounded(self, node: Node) -> Node:
        """The node, whose depth is looked at as it is made: chains of operators nest to the left without any call."""
        if len(self._cursor.tokens) <= MAX_LEVELS:
            # Each level takes a token at least.
            return node
        known = self._depths
        below = [known[id(child)][0] if id(child) in known else 1 for child in children(node)]
        depth = 1 + max(below, default=0)
        if depth > MAX_LEVELS:
            raise ParseError(f"the query is nested more than {MAX_LEVELS} levels deep", node.start)
        known[id(node)] = (depth, node)
        return node

    def _operand(self) -> Node:
        token = self._cursor.current
        if token.text in {"+", "-"}:
            return self._signed()
        # A name is looked at here rather than in `_primary`: fewer calls on top of each other.
        node = self._modifiers.apply(self._word(token) if token.kind == "word" else self._primary(token))
        if isinstance(node, Subquery):
            check_subquery(node)
            self._bounded(node)
        return node

    def _signed(self) -> Node:
        sign = self._cursor.take()
        operand = self._expression(_SIGN)
        if isinstance(operand, Number):
            return replace(operand, value=-operand.value if sign.text == "-" else operand.value, start=sign.start)
        node = Unary(sign.text, operand, sign.start, operand.end)
        check_unary(node)
        return self._bounded(node)

    def _primary(self, token: Token) -> Node:
        cursor = self._cursor
        match token.kind:
            case "number":
                cursor.take()
                return Number(parse_number(token.text, token.start), token.start, token.end)
            case "duration":
                cursor.take()
                return _duration_number(token)
            case "string":
                cursor.take()
                value, is_utf8 = unquote(token.text, token.start)
                return String(value, token.start, token.end, is_utf8)
        if token.text == "(":
            cursor.take()
            inner = self._expression()
            end = cursor.expect(")", "parentheses").end
            return self._bounded(Paren(inner, token.start, end))
        if token.text == "{":
            return self._selectors.selector(None)
        raise cursor.unexpected("", "a value")

    def _word(self, token: Token) -> Node:
        """What a name begins: a number, an aggregation, a call or a selector."""
        cursor, name = self._cursor, token.text.lower()
        following = cursor.following
        if name in {"inf", "nan"}:
            cursor.take()
            return Number(parse_number(name, token.start), token.start, token.end)
        if name in AGGREGATIONS and (following.text == "(" or following.text.lower() in {"by", "without"}):
            return self._aggregate(cursor.take(), name)
        if name in _RESERVED:
            raise cursor.unexpected("", "a value")
        if following.text == "(" and ":" not in token.text:
            if name in {"by", "without", "offset"} | SET_OPERATORS:
                raise cursor.unexpected("", "a value")
            return self._call(cursor.take())
        return self._selectors.selector(cursor.take())

    def _call(self, name: Token) -> Node:
        args = self._arguments(name.text)
        call = Call(name.text, args, name.start, self._cursor.previous_end)
        check_call(call, self._experimental)
        return self._bounded(call)

    def _arguments(self, function: str) -> tuple[Node, ...]:
        """What stands in the parentheses of a call or an aggregation."""
        cursor, args = self._cursor, list[Node]()
        cursor.take()
        if cursor.accept(")"):
            return ()
        while True:
            # The second argument of info() names labels, not series: it may match the empty label.
            self._selectors.may_match_all = function == "info" and len(args) == 1
            args.append(self._expression())
            self._selectors.may_match_all = False
            if cursor.accept(")"):
                return tuple(args)
            comma = cursor.expect(",", f"the arguments of {function}()")
            if cursor.current.text == ")":
                raise ParseError("trailing commas not allowed in function call args", comma.start)

    def _aggregate(self, token: Token, op: str) -> Node:
        cursor = self._cursor
        by, grouping, is_grouped = True, tuple[str, ...](), cursor.current.text != "("
        if is_grouped:
            by, grouping = cursor.take().text.lower() == "by", self._modifiers.labels()
        if cursor.current.text != "(":
            raise cursor.unexpected("aggregation", "'('")
        args = self._arguments(op)
        end = cursor.previous_end
        if not is_grouped and cursor.current.kind == "word" and cursor.current.text.lower() in {"by", "without"}:
            by, grouping = cursor.take().text.lower() == "by", self._modifiers.labels()
            end = cursor.previous_end
        wanted = 1 if AGGREGATIONS[op] is None else 2
        if not args:
            raise ParseError("no arguments for aggregate expression provided", token.start)
        if len(args) != wanted:
            raise ParseError(
                f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}",
                token.start,
            )
        node = Aggregate(op, args[-1], args[0] if wanted == 2 else None, by, grouping, token.start, end)
        check_aggregate(node, self._experimental)
        return self._bounded(node)

    def _matching(self, op: str) -> tuple[bool, Matching]:
        """`bool`, and how the sides of an operator meet."""
        return_bool = self._modifiers.keyword("bool")
        card = "many-to-many" if op in SET_OPERATORS else "one-to-one"
        return return_bool, self._modifiers.matching(card)


def _duration_number(token: Token) -> Number:
    try:
        value = parse_duration(token.text) / 1000
    except ValueError as error:
        raise ParseError(str(error), token.start) from None
    return Number(value, token.start, token.end, is_duration=True)
