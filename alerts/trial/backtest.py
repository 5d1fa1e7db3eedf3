"""What a rule would have done: over a stretch of the past, evaluated at the rule's own slots, judged and held as the
evaluation does (`judgement`, `state_machine`).

A month of minutes over a thousand label sets is 43 million evaluations, so they are made a piece of time after the
other; what is kept of each are the alerts' states and the spells in which they were pending or fired. A piece is so
short that the source reads it from the finest rollups that are kept, as it does for the evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import promql
from alerts.evaluation.evaluate import NO_DATA, STANDS_FOR
from alerts.evaluation.state_machine import FIRING, PENDING, Codes, Course, Seen
from alerts.evaluation.states import holding_of
from alerts.models import Rule, WithoutData
from alerts.rules.expression import Comparison, distance, expand, split
from alerts.rules.judgement import COMPARED, Judge, judge_of
from alerts.trial.episodes import Episode, Episodes, Spells, check_spells
from promql.evaluate import DEFAULT_LOOKBACK_MS as LOOKBACK_MS
from promql.parser.condition import constant
from promql.syntax import Binary, Selector, Subquery, unwrap, walk
from promql.values import Bools, Ints
from usage.series.grid import LONG

MAX_STEPS = 180_000  # 30 days of slots 15 s apart
MAX_SHOWN = 1500
MAX_SECONDS = 60.0
SHOWN_EPISODES = 12
# Longer spans are read from coarser rollups where the window allows it; windows so short never do.
FINE_MS = LONG * 1000 - 60_000
SHORT_MS, LONGEST_PIECE_MS = 300_000, 86_400_000


@dataclass(frozen=True)
class Backtest:
    """A rule over the past. `times` are of the chart, `step_ms` is the distance of the evaluations; `states` has for
    each label set that was pending or fired its gravest state from each time to the next. `measured` and `limit` are
    the two sides of its condition at these times, where it is one (`comparison`); where it measures how far one thing
    is from another, `around` has both."""

    times: Ints
    step_ms: int
    labels: list[promql.Labels]
    states: Codes
    episodes: Episodes
    firing_now: int
    pending_now: int
    comparison: Comparison | None
    measured: promql.Result
    limit: promql.Result | None
    seconds: float
    around: tuple[promql.Result, promql.Result] | None = None

    @property
    def firing_seconds(self) -> float:
        """For how long any label set would have fired."""
        return self.episodes.seconds_in_all

    @property
    def newest(self) -> list[Episode]:
        """The last of the episodes, newest first."""
        return self.episodes[: -SHOWN_EPISODES - 1 : -1]

    def only_here(self, other: Backtest) -> int:
        """How many of the alerts would not have fired there: none of the same labels did at the time."""
        return self.episodes.only_here(other.episodes)

    def firing_intervals(self) -> list[tuple[int, int]]:
        """Stretches of the chart (epoch ms) in which any label set would have fired."""
        if not self.states.size:
            return []
        fired = (self.states == FIRING).any(axis=0)
        return [
            (int(self.times[start]), int(self.times[min(stop, len(fired) - 1)])) for start, stop in stretches(fired)
        ]


def step_of(span_ms: int, interval_seconds: int) -> int:
    """The distance of the evaluations of a backtest (ms): the group's interval, or a multiple where that would be too
    many."""
    interval = interval_seconds * 1000
    return interval * -(-span_ms // (interval * MAX_STEPS))


def backtest(rule: Rule, source: promql.Source, *, span_ms: tuple[int, int], step_ms: int) -> Backtest:
    """Evaluate a rule, which need not be stored, at each multiple of the step within a span (epoch ms). Raises
    ExpressionError or promql.PromQLError."""
    began = time.monotonic()
    end = span_ms[1] // step_ms * step_ms
    slots = np.arange(end - (span_ms[1] - span_ms[0]) // step_ms * step_ms, end + 1, step_ms, dtype=np.int64)
    comparison = split(expand(rule.expr, rule.threshold))
    judge = judge_of(rule)
    compared = _compared(judge)
    past = Past(rule, compared or judge, lowest=comparison is not None and comparison.operator.startswith("<"))
    asking = Asking(source, step_ms, began + MAX_SECONDS)
    width = -(-len(slots) // MAX_SHOWN)
    times, drawn = slots[::width], Drawn(slots, width)
    for first, result, silent in asking.pieces(past.judge, slots):
        past.take(first, result, silent)
        if compared is not None:
            drawn.take(first, result)
    spells = past.spells()
    measured = drawn.result
    if compared is None:
        measured = asking.ask(comparison.measured if comparison else judge.query, times)
    limit = asking.ask(comparison.limit, times) if comparison is not None and comparison.number is None else None
    sides = distance(comparison.measured) if comparison is not None and comparison.operator.startswith(">") else None
    around = (asking.ask(sides[0], times), asking.ask(sides[1], times)) if sides is not None else None
    return Backtest(
        times,
        step_ms,
        past.labels,
        spells.shown(len(past.labels), width, len(times)),
        Episodes(past.labels, spells, slots),
        spells.at(len(slots) - 1, FIRING),
        spells.at(len(slots) - 1, PENDING),
        comparison,
        measured,
        limit,
        time.monotonic() - began,
        around,
    )


@dataclass(frozen=True)
class Asking:
    """Queries over the past, of which all together may last until a time (monotonic)."""

    source: promql.Source
    step_ms: int
    until: float

    def ask(self, query: str, slots: Ints) -> promql.Result:
        """The query at evenly spaced slots."""
        limits = promql.Limits(timeout_seconds=max(self.until - time.monotonic(), 0.0))
        step = int(slots[1] - slots[0]) if len(slots) > 1 else self.step_ms
        return promql.range(query, self.source, int(slots[0]), int(slots[-1]), step, limits=limits)

    def pieces(self, judge: Judge, slots: Ints) -> Iterator[tuple[int, promql.Result, Bools | None]]:
        """The judged query, piece by piece: the number of its first slot, the result, and at which of its slots
        nothing was measured, where that matters. What would take too much memory at once is taken in smaller
        pieces."""
        size, first = max(1, _piece_ms(judge.query) // self.step_ms), 0
        while first < len(slots):
            piece = slots[first : first + size]
            try:
                result = self.ask(judge.query, piece)
            except promql.LimitError as error:
                if error.limit != "max_samples" or size == 1:
                    raise
                size = max(1, size // 4)
                continue
            silent = np.asarray(~self.ask(judge.measured, piece).present.any(axis=0)) if judge.measured else None
            yield first, result, silent
            first += len(piece)


class Drawn:
    """What a chart shows of a query that is evaluated piece by piece: every so many slots."""

    def __init__(self, slots: Ints, width: int) -> None:
        self._width, self._rows = width, dict[frozenset[tuple[str, str]], int]()
        times = slots[::width]
        nothing = np.zeros((0, len(times)))
        self.result = promql.Result("matrix", [], times, nothing, nothing.astype(bool))

    def take(self, first: int, result: promql.Result) -> None:
        """Take a piece, the number of whose first slot is given."""
        start = -first % self._width
        values, present = (one[:, start :: self._width] for one in (result.values, result.present))
        known = self.result
        rows = []
        for own in result.labels:
            identity = frozenset(own.items())
            if identity not in self._rows:
                self._rows[identity] = len(known.labels)
                known.labels.append(own)
            rows.append(self._rows[identity])
        new = len(known.labels) - len(known.values)
        known.values, known.present = (_below(one, new, 0) for one in (known.values, known.present))
        column = (first + start) // self._width
        known.values[rows, column : column + values.shape[1]] = values
        known.present[rows, column : column + values.shape[1]] = present


class Past:
    """A rule's alerts on their way through the past, a piece of time after the other."""

    def __init__(self, rule: Rule, judge: Judge, *, lowest: bool) -> None:
        self.judge, self._rule, self._lowest = judge, rule, lowest
        self.labels: list[promql.Labels] = []
        self._numbers: dict[frozenset[tuple[str, str]], int] = {}
        self._open = np.zeros(0, dtype=np.int64)  # the label sets of the course
        self._course = Course()
        self._parts: list[Spells] = []
        self._count = 0

    def take(self, first: int, result: promql.Result, silent: Bools | None) -> None:
        """Go on through a piece, the number of whose first slot is given; `silent` are its slots at which nothing was
        measured, where that matters. Raises promql.LimitError."""
        verdict = self.judge.judge(result)
        rows = self._rows(result.labels, np.asarray(verdict.begins.any(axis=1)))
        stands_in = silent is not None and self._rule.no_data == WithoutData.ALERT
        stand_in = [self._number({STANDS_FOR: NO_DATA})] if stands_in else []
        others = [number for number in self._open.tolist() if number not in rows and number not in stand_in]
        label_sets = np.array([*rows, *others, *stand_in], dtype=np.int64)
        if not len(label_sets):
            return
        own, missing = np.array([*rows.values()], dtype=np.int64), len(others) + len(stand_in)
        values = np.where(result.present[own], result.values[own], np.nan)
        seen = Seen(*(_below(one[own], missing, False) for one in (verdict.begins, verdict.keeps)))
        if silent is not None:
            unknown = np.repeat(silent[np.newaxis], len(label_sets), axis=0)
            if stands_in:
                seen.has_sample[-1], unknown[-1] = silent, False
            seen = replace(seen, is_unknown=unknown)
        holding = holding_of(self._rule, _below(verdict.for_seconds[own], missing, self._rule.for_seconds))
        course = self._course.of(_places(self._open, label_sets))
        codes = course.through(seen, result.times, holding)
        spells = Spells.of(label_sets, codes, _below(values, missing, np.nan), first, lowest=self._lowest)
        self._count += len(spells.start)
        check_spells(self._count)
        self._parts.append(spells)
        still = np.flatnonzero(course.is_open)
        self._open, self._course = label_sets[still], course.of(still)

    def _rows(self, labels: Sequence[promql.Labels], begins: Bools) -> dict[int, int]:
        """The rows of a result that matter, by the numbers of their label sets: those that begin an alert, and those
        whose alert is not over."""
        if not len(self._open):
            return {self._number(labels[row]): row for row in np.flatnonzero(begins).tolist()}
        still, found = set(self._open.tolist()), {}
        for row, own in enumerate(labels):
            number = self._number(own) if begins[row] else self._numbers.get(_identity(own), -1)
            if begins[row] or number in still:
                found[number] = row
        return found

    def _number(self, labels: promql.Labels) -> int:
        """The number of a label set, a new one where it was not seen before."""
        identity = _identity(labels)
        if identity not in self._numbers:
            self._numbers[identity] = len(self.labels)
            self.labels.append({name: text for name, text in labels.items() if name != "__name__"})
        return self._numbers[identity]

    def spells(self) -> Spells:
        """All that there were."""
        nothing = np.zeros((0, 1))
        empty = Spells.of(self._open[:0], nothing.astype(np.int8), nothing, 0, lowest=self._lowest)
        return Spells.joined([empty, *self._parts], lowest=self._lowest)


def stretches(flags: Bools) -> list[tuple[int, int]]:
    """[start, stop) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _compared(judge: Judge) -> Judge | None:
    """The same judge where its query is a plain comparison with a number: it asks for the measured side and compares
    itself, so that the chart needs no query of its own. None for other queries."""
    found = unwrap(promql.parse(judge.query).expr)
    if judge.operator or not isinstance(found, Binary) or found.op not in COMPARED or found.return_bool:
        return None
    number = constant(found.right)
    if number is None:
        return None
    own = replace(judge.own, threshold=number)
    return replace(judge, query=promql.format_node(found.left), operator=found.op, own=own)


def _piece_ms(query: str) -> int:
    """How long a piece is, so that the query's selectors read the finest rollups; what looks back for longer than that
    is read from coarser ones in any case."""
    nodes = [node for node in walk(promql.parse(query).expr) if isinstance(node, Selector | Subquery)]
    longest = max((reach for node in nodes if (reach := _reach(node)) < FINE_MS), default=0)
    if longest <= SHORT_MS:
        return LONGEST_PIECE_MS
    return max(FINE_MS - longest, FINE_MS // 4)


def _reach(node: Selector | Subquery) -> int:
    """How far (ms) a selector looks back."""
    if isinstance(node, Selector):
        return LOOKBACK_MS if node.range_ms is None else node.range_ms
    return node.range_ms + max(
        (_reach(one) for one in walk(node.expr) if isinstance(one, Selector | Subquery)), default=0
    )


def _identity(labels: promql.Labels) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in labels.items() if pair[0] != "__name__")


def _below(matrix: Any, rows: int, value: float) -> Any:
    """A matrix, or a column, with some more rows of one value."""
    return np.concatenate([matrix, np.full((rows, *matrix.shape[1:]), value, dtype=matrix.dtype)])


def _places(known: Ints, wanted: Ints) -> Ints:
    """Where each number stands among the known ones; -1 for others."""
    places = {number: place for place, number in enumerate(known.tolist())}
    return np.array([places.get(number, -1) for number in wanted.tolist()], dtype=np.int64)
