"""Text to tokens, each with its place. Brackets are paired and counted here, so that no text nests without a bound."""

import re
from typing import NamedTuple

from promql.errors import ParseError, UnsupportedError

MAX_TEXT = 100_000
MAX_NESTING = 100
MAX_OPERATORS = 500

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}

# Digits may be grouped by single underscores. What follows a number without a space belongs to it, and is refused
# later.
_NUMBER = r"0[xX]_?[0-9a-fA-F][0-9a-fA-F_.]*(?:[pP][+-]?\d+)?|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?"
_COMMON = rf"""(?P<comment>\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_.]))
    |(?P<number>(?:{_NUMBER})(?![a-zA-Z0-9_]))
    |(?P<badnumber>\.?\d[\w.]*)"""
_SYMBOLS = r"""(?P<operator>==|!=|<=|>=|=~|!~|</|>/|[-+*/%^<>=@,:])
    |(?P<bracket>[(){}\[\]])"""
_WORD = r"(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)"
# Between square brackets and braces a colon is no part of a name.
_INNER_WORD = r"(?P<word>[a-zA-Z_][a-zA-Z0-9_]*)"
_OUTSIDE, _INSIDE = (
    re.compile(rf"[ \t\r\n]*(?:{word}|{_SYMBOLS}|{_COMMON}|(?P<end>\Z))", re.VERBOSE | re.ASCII)
    for word in (_WORD, _INNER_WORD)
)
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_NATIVE_OPERATORS = frozenset({"</", ">/"})
_NOT_COUNTED = frozenset({",", "=", "=~", "!~", ":"})


class Token(NamedTuple):
    """`kind` is word, number, duration, string, operator, bracket, or end for the end of the text."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """The tokens without spaces and comments, and one for the end. Raises ParseError at what is none, or is too
    much."""
    found: list[Token] = []
    open_brackets: list[Token] = []
    position, kind = 0, ""
    while kind != "end":
        inside = open_brackets and open_brackets[-1].text != "("
        match = (_INSIDE if inside else _OUTSIDE).match(text, position)
        if match is None:
            raise _illegal(text, position)
        kind = str(match.lastgroup)
        start, position = match.span(kind)
        if kind == "comment":
            continue
        token = Token(kind, match[kind], start, position)
        if kind == "bracket":
            _pair(token, open_brackets)
        elif kind == "badnumber":
            raise ParseError(f"bad number or duration syntax: {token.text!r}", start)
        elif token.text in _NATIVE_OPERATORS:
            raise UnsupportedError(f"{token.text} needs native histograms, which are not supported", start)
        found.append(token)
    if open_brackets:
        unclosed = open_brackets[-1]
        raise ParseError(f"{unclosed.text!r} is never closed", unclosed.start)
    if len(found) > MAX_OPERATORS:
        _check_operators(found)
    return found


def _check_operators(found: list[Token]) -> None:
    operators = 0
    for token in found:
        operators += (
            token.text not in _NOT_COUNTED if token.kind == "operator" else token.text.lower() in _WORD_OPERATORS
        )
        if operators > MAX_OPERATORS:
            raise ParseError(f"more than {MAX_OPERATORS} operators in one query", token.start)


def _pair(token: Token, open_brackets: list[Token]) -> None:
    """Note an opening bracket, or match a closing one with the last that was opened."""
    if token.text in _OPENING:
        open_brackets.append(token)
        if len(open_brackets) > MAX_NESTING:
            raise ParseError(f"brackets nested more than {MAX_NESTING} deep", token.start)
        if len(open_brackets) > 1 and token.text == "{" and open_brackets[-2][1:3] == ("{", token.start - 1):
            raise UnsupportedError("native histogram literals are not supported", token.start - 1)
    elif not open_brackets or open_brackets[-1].text != _CLOSING[token.text]:
        raise ParseError(f"unexpected {token.text!r}", token.start)
    else:
        open_brackets.pop()


def _illegal(text: str, position: int) -> ParseError:
    place = position + len(text[position:]) - len(text[position:].lstrip(" \t\r\n"))
    if text[place] in "\"'`":
        return ParseError("unterminated quoted string", place)
    return ParseError(f"unexpected character {text[place]!r}", place)
