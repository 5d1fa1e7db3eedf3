"""What a query means: its parts in words, each with the value that it has now."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import DatabaseError, transaction

import promql
from portal.explore.descriptions import capitalised, describe, part_description, sentence
from portal.explore.query_results import AWAY, LIMITS, QueryResult
from portal.explore.units import unit_of, value_text
from promql import syntax
from promql.parser.check import type_of

NUMBERS = tuple(chr(0x2460 + place) for place in range(20))
# Each part is evaluated, for so many seconds in all; what comes after is described without its value.
SECONDS = 15.0
LATE = "not asked: the parts before it took too long"
# Parts further down are said within the words of those above.
MAX_LEVELS = 12


@dataclass(frozen=True)
class Part:
    """One part: its number in the words of the part above, its words and its text, what it has now, and the parts below
    it."""

    number: str
    description: str
    text: str
    now: str
    is_empty: bool
    is_range: bool
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Meaning:
    """A query in one sentence, and part by part."""

    answer: QueryResult
    sentence: str
    root: Part


def meaning(answer: QueryResult, source: promql.Source, at_ms: int) -> Meaning | None:
    """The meaning of a query that could be read. Parts that read the same series share one read."""
    if answer.query is None:
        return None
    expr = answer.query.expr
    tree = Tree(promql.share_reads(source, guard=transaction.atomic), at_ms)
    return Meaning(answer, sentence(expr), tree.part(expr))


class Tree:
    """Makes the parts of one query; each but the first has a number of its own, in the order in which they are
    shown."""

    def __init__(self, source: promql.Source, at_ms: int) -> None:
        self._source, self._at_ms = source, at_ms
        self._until = time.monotonic() + SECONDS
        self._known: dict[str, tuple[str, bool]] = {}
        self._count = 0

    def part(self, node: syntax.Node, level: int = 1) -> Part:
        """A node with all below it."""
        node = syntax.unwrap(node)
        number = self._next_number()
        below = [child for child in _below(node) if not _is_literal(child) and level < MAX_LEVELS]
        parts = [self.part(child, level + 1) for child in below]
        numbers = {id(child): found.number for child, found in zip(below, parts, strict=True)}
        description = describe(node, lambda child: numbers.get(id(child)) or part_description(child))
        text = promql.format_node(node)
        now, is_empty = self._now(text)
        return Part(number, capitalised(description), text, now, is_empty, type_of(node) == "matrix", parts)

    def _now(self, text: str) -> tuple[str, bool]:
        """What a part has now, and whether that is nothing; the same part is asked once."""
        if text not in self._known:
            late = time.monotonic() > self._until
            self._known[text] = (LATE, True) if late else _value(text, self._source, self._at_ms)
        return self._known[text]

    def _next_number(self) -> str:
        count, self._count = self._count, self._count + 1
        if not count:
            return ""
        return NUMBERS[count - 1] if count <= len(NUMBERS) else f"({count})"


def _is_literal(node: syntax.Node) -> bool:
    """Numbers and texts are said within the words of the part above."""
    inner = syntax.unwrap(node)
    inner = syntax.unwrap(inner.expr) if isinstance(inner, syntax.Unary) else inner
    return isinstance(inner, syntax.Number | syntax.String)


def _below(node: syntax.Node) -> tuple[syntax.Node, ...]:
    """The parts of a node; an aggregation's parameter comes last."""
    if isinstance(node, syntax.Aggregate):
        return (node.expr,) if node.param is None else (node.expr, node.param)
    return syntax.children(node)


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
        return value_text(values[0], unit), False
    return f"{_series(rows)}, {value_text(values[0], unit)} to {value_text(values[-1], unit)}", False


def _series(rows: Collection[object]) -> str:
    return f"{len(rows):,} series"
