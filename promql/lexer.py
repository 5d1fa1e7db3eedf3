"""Tokens of a query, only to say where an error is: promql-parser gives no positions."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from promql.errors import ParseError, UnsupportedError

AGGREGATIONS = frozenset(
    {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile"}
    | {"count_values", "limitk", "limit_ratio"}
)
WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}

# promql-parser recurses without a bound and takes quadratic time on nested brackets; deeper text ends the process.
MAX_TEXT = 100_000
MAX_NESTING = 100
MAX_OPERATORS = 500

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)?)
    |(?P<word>[a-zA-Z_:][a-zA-Z0-9_:.]*)
    |(?P<operator>==|!=|<=|>=|=~|!~|[-+*/%^<>=@,:])
    |(?P<bracket>[(){}\[\]])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    position: int

    @property
    def end(self) -> int:
        return self.position + len(self.text)

    @property
    def is_operator(self) -> bool:
        return self.kind == "operator" or self.text.lower() in WORD_OPERATORS


def tokens(text: str) -> Iterator[Token]:
    """The tokens without spaces and comments. Raises ParseError at what is no token."""
    position = 0
    in_range = False
    while position < len(text):
        if in_range and text[position] == ":":
            # Elsewhere a colon may begin a metric's name.
            yield Token("operator", ":", position)
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise ParseError(_describe_illegal(text, position), position)
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), position)
        if match.group() in {"[", "]"}:
            in_range = match.group() == "["
        position = match.end()


def _describe_illegal(text: str, position: int) -> str:
    if text[position] in "\"'`":
        return "unterminated quoted string"
    return f"unexpected character {text[position]!r}"


def check_brackets(found: list[Token]) -> None:
    """Raise ParseError at the first bracket that does not fit, or at nesting that is too deep."""
    stack: list[Token] = []
    operators = 0
    for token in found:
        operators += token.is_operator and token.text not in {",", "=", "=~", "!~", ":"}
        if operators > MAX_OPERATORS:
            raise ParseError(f"more than {MAX_OPERATORS} operators in one query", token.position)
        if token.text in OPENING and token.kind == "bracket":
            stack.append(token)
            if len(stack) > MAX_NESTING:
                raise ParseError(f"brackets nested more than {MAX_NESTING} deep", token.position)
        elif token.text in CLOSING and token.kind == "bracket":
            if not stack or stack[-1].text != CLOSING[token.text]:
                raise ParseError(f"unexpected {token.text!r}", token.position)
            stack.pop()
    if stack:
        raise ParseError(f"{stack[-1].text!r} is never closed", stack[-1].position)


def check_times(found: list[Token]) -> None:
    """Raise UnsupportedError at a time before 1970: promql-parser panics on it."""
    for token, following in itertools.pairwise(found):
        if token.text == "@" and following.text == "-":
            raise UnsupportedError("a time before 1970 after @ is not supported", following.position)


def find_unexpected(found: list[Token], text: str) -> tuple[int, str]:
    """Place and name of the first token that cannot stand where it stands, else the end of the text."""
    operand_expected = True
    previous = Token("start", "", 0)
    for token in found:
        if token.is_operator:
            if operand_expected and token.text not in _MAY_LEAD and previous.text != "bool":
                return token.position, f"unexpected {token.text!r}, a value was expected"
            operand_expected = True
        elif token.kind == "bracket" and token.text in OPENING:
            operand_expected = True
        elif token.kind == "bracket":
            if operand_expected and previous.is_operator and previous.text not in {",", ":"}:
                return token.position, f"unexpected {token.text!r}, a value was expected"
            operand_expected = False
        else:
            if not operand_expected and not {previous.text.lower(), token.text.lower()} & _CONNECTORS:
                return token.position, f"unexpected {token.text!r}"
            operand_expected = False
        previous = token
    return len(text), "unexpected end of the query"


_MAY_LEAD = frozenset({"-", "+", ":", "@"})
_CONNECTORS = frozenset(
    {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
    | {"fill", "fill_left", "fill_right"}
)
