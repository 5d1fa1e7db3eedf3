"""What stands behind or between operands: ranges, offsets, `@`, `anchored`, `on (…)`, `group_left (…)`, `fill (…)`."""

import re
from dataclasses import replace

from promql.durations import MAX_MILLISECONDS, is_open, milliseconds
from promql.errors import EvalError, ParseError, UnsupportedError
from promql.parser.cursor import Cursor
from promql.parser.duration_grammar import DurationGrammar, seconds
from promql.parser.numbers import parse_number
from promql.parser.strings import unquote
from promql.syntax import At, Duration, Matching, Node, Selector, Subquery

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_GROUPS = {"group_left": "many-to-one", "group_right": "one-to-many"}


class Modifiers:
    """Reads modifiers off a cursor that the expression's grammar moves too."""

    def __init__(self, cursor: Cursor, experimental: bool) -> None:
        self._cursor = cursor
        self._experimental = experimental
        self._durations = DurationGrammar(cursor, experimental)

    def keyword(self, word: str) -> bool:
        """Take this keyword where it comes next; keywords are read in any case."""
        if self._cursor.current.kind != "word" or self._cursor.current.text.lower() != word:
            return False
        self._cursor.take()
        return True

    def apply(self, node: Node) -> Node:
        """The operand with the ranges and modifiers that follow it."""
        while True:
            token = self._cursor.current
            match token.text.lower() if token.kind == "word" else token.text:
                case "[":
                    node = self._range(node)
                case "@":
                    node = self._at(node)
                case "offset":
                    node = self._offset(node)
                case "anchored" | "smoothed" as extension:
                    node = self._extension(node, extension)
                case _:
                    return node

    def _range(self, node: Node) -> Node:
        cursor = self._cursor
        opening = cursor.take()
        if cursor.current.text in {"]", ":"}:
            raise cursor.unexpected("subquery or range selector", "a duration")
        length = self._durations.expression("subquery or range selector")
        if cursor.accept(":"):
            return self._subquery(node, length)
        end = cursor.expect("]", "subquery or range selector").end
        if not isinstance(node, Selector) or node.range_ms is not None:
            raise ParseError("ranges only allowed for vector selectors", opening.start)
        if node.offset_ms or node.offset_expr is not None:
            raise ParseError("no offset modifiers allowed before range", opening.start)
        if node.at is not None:
            raise ParseError("no @ modifiers allowed before range", opening.start)
        if node.extension:
            raise ParseError(f"no {node.extension} modifiers allowed before range", opening.start)
        range_ms, expr = self._evaluate(length, positive=True)
        return Selector(node.matchers, range_ms, start=node.start, end=end, range_expr=expr)

    def _subquery(self, node: Node, length: Duration) -> Subquery:
        cursor = self._cursor
        step_ms, step_expr = None, None
        if cursor.current.text != "]":
            step_ms, step_expr = self._evaluate(self._durations.expression("subquery selector"), positive=True)
        end = cursor.expect("]", "subquery selector").end
        range_ms, range_expr = self._evaluate(length, positive=True)
        return Subquery(node, range_ms, step_ms, start=node.start, end=end, range_expr=range_expr, step_expr=step_expr)

    def _evaluate(self, duration: Duration, *, positive: bool) -> tuple[int, Duration | None]:
        """Milliseconds, and the expression where it is more than a number."""
        if is_open(duration):
            return 0, duration
        try:
            value = milliseconds(duration, positive=positive)
        except EvalError as error:
            raise ParseError(str(error), duration.start) from None
        return value, None if duration.op == "number" else duration

    def _offset(self, node: Node) -> Node:
        self._cursor.take()
        offset_ms, expr = self._evaluate(self._durations.offset(), positive=False)
        if not isinstance(node, Selector | Subquery):
            raise ParseError(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                node.start,
            )
        if node.offset_ms or node.offset_expr is not None:
            raise ParseError("offset may not be set multiple times", node.start)
        return replace(node, offset_ms=offset_ms, offset_expr=expr, end=self._cursor.previous_end)

    def _at(self, node: Node) -> Node:
        self._cursor.take()
        at = self._moment()
        if not isinstance(node, Selector | Subquery):
            raise ParseError(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                node.start,
            )
        if node.at is not None:
            raise ParseError("@ <timestamp> may not be set multiple times", node.start)
        return replace(node, at=at, end=self._cursor.previous_end)

    def _moment(self) -> At:
        cursor = self._cursor
        token = cursor.current
        if token.kind == "word" and token.text.lower() in {"start", "end"}:
            cursor.take()
            cursor.expect("(", "@")
            cursor.expect(")", "@")
            return At(token.text.lower())
        value = self._number("@", "a time") * 1000
        if not abs(value) <= MAX_MILLISECONDS:
            raise UnsupportedError("timestamp out of bounds for @ modifier", token.start)
        return At("at", round(value))

    def _number(self, context: str, wanted: str) -> float:
        """A number, with or without a sign."""
        cursor = self._cursor
        sign = cursor.take().text if cursor.current.text in {"+", "-"} else "+"
        token = cursor.current
        if token.kind == "duration":
            value = seconds(cursor.take())
        elif token.kind == "number" or token.text.lower() in {"inf", "nan"}:
            value = parse_number(cursor.take().text, token.start)
        else:
            raise cursor.unexpected(context, wanted)
        return -value if sign == "-" else value

    def _extension(self, node: Node, extension: str) -> Node:
        self._cursor.take()
        if not self._experimental:
            raise ParseError(f"{extension} modifier is experimental and not switched on", node.start)
        if isinstance(node, Subquery):
            raise ParseError(f"{extension} modifier is not supported for subqueries", node.start)
        if not isinstance(node, Selector):
            raise ParseError(f"{extension} modifier must be preceded by a selector", node.start)
        if node.extension and node.extension != extension:
            raise ParseError("anchored and smoothed modifiers cannot be used together", node.start)
        if extension == "anchored" and node.range_ms is None:
            raise ParseError("anchored modifier is not valid on instant vector selectors", node.start)
        return replace(node, extension=extension, end=self._cursor.previous_end)

    def labels(self) -> tuple[str, ...]:
        """Labels in parentheses; those that are no plain words in quotes."""
        cursor, found = self._cursor, list[str]()
        cursor.expect("(", "grouping opts")
        while not cursor.accept(")"):
            token = cursor.current
            if token.kind == "string":
                label, is_utf8 = unquote(token.text, token.start)
                if not label or not is_utf8:
                    raise ParseError(f"invalid label name {token.text}", token.start)
            elif token.kind == "word" and _LABEL.fullmatch(token.text):
                label = token.text
            else:
                raise cursor.unexpected("grouping opts", "a label")
            found.append(label)
            cursor.take()
            if cursor.current.text != ")":
                cursor.expect(",", "grouping opts")
        return tuple(found)

    def matching(self, card: str) -> Matching:
        """How the sides of an operator meet: what stands between it and its right side."""
        if self._cursor.current.kind != "word":
            return _MATCHINGS[card]
        on, labels, include = False, tuple[str, ...](), tuple[str, ...]()
        if (is_on := self.keyword("on")) or self.keyword("ignoring"):
            on, labels = is_on, self.labels()
            for word, grouped in _GROUPS.items():
                if self.keyword(word):
                    card = grouped
                    include = self.labels() if self._cursor.current.text == "(" else ()
                    break
        left, right = self._fills()
        return Matching(on, labels, card, include, left, right)

    def _fills(self) -> tuple[float | None, float | None]:
        if self._is_fill("fill"):
            value = self._fill()
            return value, value
        left = self._fill() if self._is_fill("fill_left") else None
        right = self._fill() if self._is_fill("fill_right") else None
        if right is not None and left is None and self._is_fill("fill_left"):
            left = self._fill()
        return left, right

    def _is_fill(self, word: str) -> bool:
        """Without a parenthesis behind it, the word is a metric's name."""
        return self._cursor.following.text == "(" and self.keyword(word)

    def _fill(self) -> float:
        self._cursor.expect("(", "fill")
        value = self._number("fill", "a number")
        self._cursor.expect(")", "fill")
        return value


_MATCHINGS = {card: Matching(card=card) for card in ("one-to-one", "many-to-many")}
