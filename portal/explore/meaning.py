"""What a query means: its parts in words, each with the value that it has now."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

import promql_parser
from django.db import DatabaseError

import promql
from alerts.cached_source import shared
from portal.explore.answers import AWAY, LIMITS, Answer
from portal.explore.units import unit_of, value_words
from portal.explore.words import capitalised, describe, part_words, sentence
from promql import syntax
from promql.convert import type_of

MARKS = tuple(chr(0x2460 + place) for place in range(20))
# Each part is evaluated, for so many seconds in all; what comes after is described without its value.
SECONDS = 15.0
LATE = "not asked: the parts before it took too long"
# Parts further down are said within the words of those above.
MOST_LEVELS = 12


@dataclass(frozen=True)
class Part:
    """One part: its mark in the words of the part above, its words and its text, what it has now, and the parts below it."""

    mark: str
    says: str
    text: str
    now: str
    is_empty: bool
    is_range: bool
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Meaning:
    """A query in one sentence, and part by part."""

    answer: Answer
    sentence: str
    root: Part


def meaning(answer: Answer, source: promql.Source, at_ms: int) -> Meaning | None:
    """The meaning of a query that could be read. Parts that read the same series share one read."""
    if answer.query is None:
        return None
    expr = answer.query.expr
    tree = Tree(shared(source), at_ms)
    return Meaning(answer, sentence(expr), tree.part(expr, answer.query.parsed))


class Tree:
    """Makes the parts of one query; each but the first has a number of its own, in the order in which they are shown."""

    def __init__(self, source: promql.Source, at_ms: int) -> None:
        self._source, self._at_ms = source, at_ms
        self._until = time.monotonic() + SECONDS
        self._known: dict[str, tuple[str, bool]] = {}
        self._count = 0

    def part(self, node: syntax.Node, parsed: promql_parser.Expr, level: int = 1) -> Part:
        """A node with all below it."""
        while isinstance(node, syntax.Paren) and isinstance(parsed, promql_parser.ParenExpr):
            node, parsed = node.expr, parsed.expr
        mark = self._mark()
        below = [(child, one) for child, one in _below(node, parsed) if not _is_literal(child) and level < MOST_LEVELS]
        parts = [self.part(child, one, level + 1) for child, one in below]
        marks = {id(child): found.mark for (child, _), found in zip(below, parts, strict=True)}
        says = describe(node, lambda child: marks.get(id(child)) or part_words(child))
        text = " ".join(parsed.prettify().split())
        now, is_empty = self._now(text)
        return Part(mark, capitalised(says), text, now, is_empty, type_of(parsed) == "matrix", parts)

    def _now(self, text: str) -> tuple[str, bool]:
        """What a part has now, and whether that is nothing; the same part is asked once."""
        if text not in self._known:
            late = time.monotonic() > self._until
            self._known[text] = (LATE, True) if late else _value(text, self._source, self._at_ms)
        return self._known[text]

    def _mark(self) -> str:
        count, self._count = self._count, self._count + 1
        if not count:
            return ""
        return MARKS[count - 1] if count <= len(MARKS) else f"({count})"


def _is_literal(node: syntax.Node) -> bool:
    """Numbers and texts are said within the words of the part above."""
    inner = syntax.unwrap(node)
    inner = syntax.unwrap(inner.expr) if isinstance(inner, syntax.Negate) else inner
    return isinstance(inner, syntax.Number | syntax.String)


def _below(node: syntax.Node, parsed: promql_parser.Expr) -> list[tuple[syntax.Node, promql_parser.Expr]]:
    """The parts of a node, each with the parser's own node, which can be written as text."""
    match node, parsed:
        case syntax.Call(), promql_parser.Call():
            return list(zip(node.args, parsed.args, strict=True))
        case syntax.Aggregate(), promql_parser.AggregateExpr():
            found = [(node.expr, parsed.expr)]
            if node.param is not None and isinstance(parsed.param, promql_parser.Expr):
                found.append((node.param, parsed.param))
            return found
        case syntax.Binary(), promql_parser.BinaryExpr():
            return [(node.left, parsed.lhs), (node.right, parsed.rhs)]
        case syntax.Negate(), promql_parser.UnaryExpr():
            return [(node.expr, parsed.expr)]
        case syntax.Subquery(), promql_parser.SubqueryExpr():
            return [(node.expr, parsed.expr)]
    return []


def _value(text: str, source: promql.Source, at_ms: int) -> tuple[str, bool]:
    """What a part has now, and whether that is nothing."""
    try:
        query = promql.parse(text, experimental=True)
        result = promql.instant(query, source, at_ms, limits=LIMITS)
    except promql.PromQLError as error:
        return str(error), True
    except DatabaseError:
        return AWAY, True
    rows = [values[present] for values, present in zip(result.values, result.present, strict=True) if present.any()]
    if result.string is not None:
        return f"“{result.string}”", False
    if not rows:
        return "no series", True
    unit = unit_of(query.expr)
    if query.type == "matrix":
        return f"{_series(rows)}, {sum(len(row) for row in rows):,} samples", False
    values = sorted(float(row[-1]) for row in rows)
    if len(values) == 1:
        return value_words(values[0], unit), False
    return f"{_series(rows)}, {value_words(values[0], unit)} to {value_words(values[-1], unit)}", False


def _series(rows: Collection[object]) -> str:
    return f"{len(rows):,} series"
