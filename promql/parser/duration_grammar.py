"""Durations in ranges, subqueries and offsets: literals, and arithmetic with `step()`, `range()`, `min_of`,
`max_of`."""

from dataclasses import replace

from promql.errors import ParseError
from promql.parser.cursor import Cursor
from promql.parser.lexer import Token
from promql.parser.numbers import MAX_DURATION_MS, parse_duration, parse_number
from promql.syntax import Duration

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_SIGN = 3
_MAX_LEVELS = 100
_MAX_OPERATIONS = 100


class DurationGrammar:
    """Reads durations off a cursor that the expression's grammar moves too."""

    def __init__(self, cursor: Cursor, experimental: bool) -> None:
        self._cursor = cursor
        self._experimental = experimental
        self._level = 0
        self._operations = 0

    def expression(self, context: str, minimum: int = 1) -> Duration:
        """A duration within square brackets or parentheses."""
        self._level += 1
        if self._level > _MAX_LEVELS:
            raise ParseError(f"a duration nested more than {_MAX_LEVELS} levels deep", self._cursor.current.start)
        left = self._signed(context)
        while (precedence := _PRECEDENCE.get(self._cursor.current.text, 0)) >= minimum:
            operator = self._cursor.take()
            right = self.expression(context, precedence if operator.text == "^" else precedence + 1)
            left = self._computed(Duration(operator.text, left, right, start=left.start, end=right.end))
        self._level -= 1
        return left

    def offset(self) -> Duration:
        """A duration after `offset`: there, arithmetic needs parentheses."""
        cursor, context = self._cursor, "offset"
        if cursor.current.text not in {"+", "-"}:
            return self._operand(context)
        sign = cursor.take()
        return self._with_sign(sign, self._operand(context))

    def _signed(self, context: str) -> Duration:
        if self._cursor.current.text not in {"+", "-"}:
            return self._operand(context)
        sign = self._cursor.take()
        return self._with_sign(sign, self.expression(context, _SIGN))

    def _with_sign(self, sign: Token, operand: Duration) -> Duration:
        if operand.op == "number":
            value = -operand.value if sign.text == "-" else operand.value
            return replace(operand, value=value, start=sign.start)
        if sign.text == "+":
            return operand
        return self._computed(Duration("-", None, operand, start=sign.start, end=operand.end))

    def _operand(self, context: str) -> Duration:
        cursor = self._cursor
        token, name = cursor.current, cursor.current.text.lower()
        if token.kind in {"number", "duration"}:
            cursor.take()
            return Duration("number", None, None, seconds(token), token.kind == "duration", token.start, token.end)
        if token.text == "(":
            cursor.take()
            inner = self.expression(context)
            cursor.expect(")", context)
            self._computed(inner)
            return inner if inner.op == "number" else replace(inner, wrapped=True)
        if token.kind == "word" and name in {"step", "range"}:
            cursor.take()
            cursor.expect("(", context)
            end = cursor.expect(")", context).end
            return self._computed(Duration(name, start=token.start, end=end))
        if token.kind == "word" and name in {"min_of", "max_of"}:
            cursor.take()
            cursor.expect("(", context)
            left = self.expression(context)
            cursor.expect(",", context)
            right = self.expression(context)
            end = cursor.expect(")", context).end
            return self._computed(Duration(name, left, right, start=token.start, end=end))
        raise cursor.unexpected(context, "a duration")

    def _computed(self, duration: Duration) -> Duration:
        if not self._experimental:
            raise ParseError("a computed duration is experimental and not switched on", duration.start)
        # A bound on the depth of what is computed: each level is an operation.
        self._operations += 1
        if self._operations > _MAX_OPERATIONS:
            raise ParseError(f"more than {_MAX_OPERATIONS} operations in the durations of a query", duration.start)
        return duration


def seconds(token: Token) -> float:
    """The value of a number or duration token. Raises ParseError."""
    if token.kind == "number":
        value = parse_number(token.text, token.start)
        if not abs(value) * 1000 <= MAX_DURATION_MS:
            raise ParseError("duration out of range", token.start)
        return value
    try:
        return parse_duration(token.text) / 1000
    except ValueError as error:
        raise ParseError(str(error), token.start) from None
