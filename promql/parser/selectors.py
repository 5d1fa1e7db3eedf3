"""Selectors: a metric's name and matchers in braces, names quoted where they are no plain words."""

from promql.errors import ParseError, UnsupportedError
from promql.labels import METRIC_NAME, Matcher
from promql.parser.check import check_matchers, check_selective
from promql.parser.cursor import Cursor
from promql.parser.lexer import Token
from promql.parser.strings import unquote
from promql.syntax import Selector

_MATCH_OPERATORS = frozenset({"=", "!=", "=~", "!~"})


class SelectorGrammar:
    """Reads selectors off a cursor that the expression's grammar moves too."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.may_match_all = False
        """Whether a selector may select by labels that none need have, as the second argument of info() does."""

    def selector(self, name: Token | None) -> Selector:
        """The selector of a metric whose name has been taken, or of braces alone."""
        cursor = self._cursor
        start = cursor.current.start if name is None else name.start
        matchers: list[tuple[Matcher, int]] = []
        if name is not None:
            matchers.append((Matcher(METRIC_NAME, "=", name.text), name.start))
        may_match_all = self.may_match_all
        if may_match_all and name is not None:
            raise ParseError("expected label selectors only in the second argument of info(), got a metric", start)
        if cursor.current.text == "{":
            self._braces(matchers, name.text if name is not None else "")
        check_matchers(matchers)
        found = tuple(matcher for matcher, _ in matchers)
        if not may_match_all:
            check_selective(found, start)
        return Selector(found, start=start, end=cursor.previous_end)

    def _braces(self, matchers: list[tuple[Matcher, int]], name: str) -> None:
        cursor = self._cursor
        cursor.take()
        while not cursor.accept("}"):
            token = cursor.current
            if token.kind == "string" and cursor.following.text not in _MATCH_OPERATORS:
                name = self._quoted_name(cursor.take(), matchers, name)
            else:
                matchers.append(self._matcher(token, name))
            if cursor.current.text == "or":
                raise UnsupportedError(
                    "`or` between matchers is no PromQL; use a regex, or `or` between selectors", cursor.current.start
                )
            if cursor.current.text != "}":
                cursor.expect(",", "label matching")

    def _quoted_name(self, token: Token, matchers: list[tuple[Matcher, int]], name: str) -> str:
        """A string alone is the metric's name."""
        value = _utf8(token, "metric name")
        if name:
            raise ParseError(f'metric name must not be set twice: "{name}" or "{value}"', token.start)
        matchers.insert(0, (Matcher(METRIC_NAME, "=", value), token.start))
        return value

    def _matcher(self, token: Token, name: str) -> tuple[Matcher, int]:
        cursor = self._cursor
        if token.kind not in {"word", "string"}:
            raise cursor.unexpected("label matching", "a label's name or '}'")
        cursor.take()
        label = token.text if token.kind == "word" else _utf8(token, "label name")
        if cursor.current.text not in _MATCH_OPERATORS:
            raise cursor.unexpected("label matching", "one of = != =~ !~")
        op = cursor.take().text
        if cursor.current.kind != "string":
            raise cursor.unexpected("label matching", "a string in quotes")
        quoted = cursor.take()
        value, _ = unquote(quoted.text, quoted.start)
        if label == METRIC_NAME and name:
            raise ParseError(f'metric name must not be set twice: "{name}" or "{value}"', token.start)
        return Matcher(label, op, value), quoted.start


def _utf8(token: Token, what: str) -> str:
    value, is_utf8 = unquote(token.text, token.start)
    if not value or not is_utf8:
        raise ParseError(f"invalid {what} {token.text}", token.start)
    return value
