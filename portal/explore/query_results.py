"""The answers to the queries of a page: each for itself, so that one that fails hides none of the others."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError

import promql
from core.ui.time_range import TimeRange
from portal.explore.state import Asked, Step
from portal.explore.units import unit_of
from usage.boards.panels import joined

# A page is read by a person who waits.
LIMITS = promql.Limits(timeout_seconds=30.0)
AWAY = "Postgres does not answer."


@dataclass(frozen=True)
class Wrong:
    """Why a query has no answer; for a text that is no PromQL also the place, and the query that was probably meant."""

    message: str
    text: str = ""
    position: int | None = None
    suggestion: str = ""

    @property
    def before(self) -> str:
        """The line of the error up to its place."""
        return self.text[: self.position].rsplit("\n", 1)[-1]

    @property
    def after(self) -> str:
        """The line from there on."""
        return self.text[self.position or 0 :].split("\n", 1)[0]

    @property
    def indent(self) -> str:
        """As many blanks as stand before the place."""
        return " " * len(self.before)

    @property
    def place(self) -> str:
        """Line and column."""
        line = self.text[: self.position].count("\n") + 1
        return f"line {line}, column {len(self.before) + 1}" if line > 1 else f"column {len(self.before) + 1}"


@dataclass(frozen=True)
class QueryResult:
    """A query with its answer, or with what went wrong. A text that is only parsed has neither."""

    asked: Asked
    query: promql.Query | None = None
    result: promql.Result | None = None
    wrong: Wrong | None = None

    @property
    def unit(self) -> str | None:
        """The unit of its values, None where it is not known."""
        return unit_of(self.query.expr) if self.query else None

    @property
    def notes(self) -> list[str]:
        """Prometheus's warnings and remarks."""
        return [*self.result.warnings, *self.result.infos] if self.result else []


def parsed(asked: Asked) -> QueryResult:
    """The query, read but not evaluated."""
    try:
        return QueryResult(asked, promql.parse(asked.text, experimental=True))
    except promql.ParseError as error:
        wrong = Wrong(error.message, asked.text, error.position, error.suggestion or "")
        return QueryResult(asked, wrong=wrong)


def at_end(asked: Asked, source: promql.Source, time_range: TimeRange) -> QueryResult:
    """The query's values at the end of the range."""
    read = parsed(asked)
    if read.query is None:
        return read
    try:
        return QueryResult(asked, read.query, promql.instant(read.query, source, time_range.end_ms, limits=LIMITS))
    except promql.PromQLError as error:
        return QueryResult(asked, read.query, wrong=Wrong(str(error)))
    except DatabaseError:
        return QueryResult(asked, read.query, wrong=Wrong(AWAY))


def over_range(asked: Asked, source: promql.Source, time_range: TimeRange, step: Step) -> QueryResult:
    """The query's values over the range, on multiples of the step; with the automatic step also at the very end."""
    read = parsed(asked)
    if read.query is None:
        return read
    if read.query.type not in ("vector", "scalar"):
        return QueryResult(asked, read.query, wrong=Wrong(f"A {read.query.type} cannot be drawn; the table shows it."))
    start = -(-time_range.start_ms // step.ms) * step.ms
    end = max(time_range.end_ms // step.ms * step.ms, start)
    try:
        result = promql.range(read.query, source, start, end, step.ms, limits=LIMITS)
        if step.is_auto and end < time_range.end_ms:
            latest = promql.instant(read.query, source, time_range.end_ms, limits=LIMITS)
            result = joined(result, latest)
        return QueryResult(asked, read.query, result)
    except promql.PromQLError as error:
        return QueryResult(asked, read.query, wrong=Wrong(str(error)))
    except DatabaseError:
        return QueryResult(asked, read.query, wrong=Wrong(AWAY))
