"""A place among the tokens of a query."""

from promql.errors import ParseError
from promql.parser.lexer import Token, tokenize


class Cursor:
    """What the grammars share: the token that comes next, and how to take it or complain of it."""

    def __init__(self, text: str) -> None:
        self.tokens = tokenize(text)
        self.index = 0
        self.current = self.tokens[0]

    @property
    def following(self) -> Token:
        """The token after the current one; at the end, the end."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    @property
    def previous_end(self) -> int:
        """Where the token before the current one ends."""
        return self.tokens[self.index - 1].end

    def take(self) -> Token:
        token = self.current
        self.index += 1
        # The end is never taken.
        self.current = self.tokens[self.index]
        return token

    def accept(self, text: str) -> bool:
        """Take this operator or bracket where it comes next."""
        if self.current.text != text:
            return False
        self.take()
        return True

    def expect(self, text: str, context: str) -> Token:
        if self.current.text != text:
            raise self.unexpected(context, repr(text))
        return self.take()

    def unexpected(self, context: str, wanted: str) -> ParseError:
        """The error at the current token."""
        token = self.current
        what = "unexpected end of the query" if token.kind == "end" else f"unexpected {token.text!r}"
        inside = f" in {context}" if context else ""
        expected = f", {wanted} was expected" if wanted else ""
        return ParseError(what + inside + expected, token.start)
