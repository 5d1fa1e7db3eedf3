"""Would a rule have caught something? Which of its alerts would have fired in a window of the past, how long after its
start, and, where none would have, which threshold or `for` would have caught it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

import promql
from alerts.evaluation.state_machine import PENDING
from alerts.models import Rule
from alerts.rules.expression import ExpressionError
from alerts.trial.backtest import Backtest, backtest, step_of, stretches
from alerts.trial.episodes import Episode
from alerts.trial.suggestion import rounded
from core.ui import durations
from promql.values import Floats, Ints

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SHORTEST_MS, LONGEST_MS = 60_000, 30 * DAY_MS
# Label sets times evaluations beyond which no other threshold is looked for, so that typing stays fast.
MAX_CELLS = 2_000_000
MAX_NAMED = 20


@dataclass(frozen=True)
class Window:
    """A stretch of the past (Unix ms) in which something was wrong."""

    start_ms: int
    end_ms: int

    @property
    def problem(self) -> str:
        """Why nothing can be said of it; empty where something can."""
        if not SHORTEST_MS <= self.end_ms - self.start_ms <= LONGEST_MS:
            return "A window is between a minute and 30 days long."
        return ""


@dataclass(frozen=True)
class Catch:
    """What would have fired in the window: how many alerts, and the first of them. Where nothing would have: the
    `threshold`, or the `for_seconds`, that alone would have caught it; None where none would."""

    window: Window
    count: int
    episodes: list[Episode]
    threshold: float | None = None
    for_seconds: int | None = None

    @property
    def for_text(self) -> str:
        """The `for` that would have caught it, as one types it; empty for none."""
        return "" if self.for_seconds is None else durations.format_short(self.for_seconds)

    @property
    def first_ms(self) -> int | None:
        """When the first of it would have fired."""
        return self.episodes[0].fired_ms if self.episodes else None

    @property
    def after_seconds(self) -> float | None:
        """How long after the window's start; 0 where it fired already."""
        return None if self.first_ms is None else max(0.0, (self.first_ms - self.window.start_ms) / 1000)


def would_catch(rule: Rule, source: promql.Source, window: Window, interval_seconds: int) -> Catch:
    """Judge the rule, which need not be stored, over the window and some time before. Raises ExpressionError or
    promql.PromQLError."""
    test = _tested(rule, source, window, interval_seconds)
    found = _in_window(test, window)
    if len(found) or rule.record:
        return Catch(window, len(found), [test.episodes[place] for place in found[:MAX_NAMED].tolist()])

    def begins(**fields: float) -> int | None:
        """When it would have begun to fire, had it had these fields; None where it would not have."""
        other = copy.copy(rule)
        for name, value in fields.items():
            setattr(other, name, value)
        try:
            past = _tested(other, source, window, interval_seconds)
        except ExpressionError:
            # Such as a recovery threshold that would not fit to it.
            return None
        there = _in_window(past, window)
        return int(past.episodes.fired[there[0]]) if len(there) else None

    threshold, for_seconds = _reached(test, window, rule.for_seconds), _held(test, window)
    if threshold is not None:
        began = begins(threshold=threshold)
        # What fires before anything is wrong tells the two apart no better.
        threshold = threshold if began is not None and began >= window.start_ms else None
    if for_seconds is not None and begins(for_seconds=for_seconds) is None:
        for_seconds = None
    return Catch(window, 0, [], threshold, for_seconds)


def _tested(rule: Rule, source: promql.Source, window: Window, interval_seconds: int) -> Backtest:
    """From so long before the window that what held at its start is known."""
    lead = HOUR_MS + 1000 * (rule.for_seconds + rule.keep_firing_seconds)
    span = (window.start_ms - lead, window.end_ms)
    return backtest(rule, source, span_ms=span, step_ms=step_of(span[1] - span[0], interval_seconds))


def _in_window(test: Backtest, window: Window) -> Ints:
    """The numbers of the episodes that fire in it."""
    return np.flatnonzero((test.episodes.fired <= window.end_ms) & (test.episodes.ended > window.start_ms))


def _held(test: Backtest, window: Window) -> int | None:
    """For how long (seconds) the condition held at most, of what held in the window; None where it never did."""
    longest, columns = None, np.diff(test.times[:2])
    # A column of the chart may stand for several evaluations: the condition held from its last one at least.
    unsure = int(columns[0]) - test.step_ms if len(columns) else 0
    for row in test.states == PENDING:
        for start, stop in stretches(row):
            first, last = int(test.times[start]), int(test.times[stop - 1])
            if first <= window.end_ms and last >= window.start_ms:
                longest = max(longest or 0, (last - first - unsure) // 1000)
    return longest


def _reached(test: Backtest, window: Window, for_seconds: int) -> float | None:
    """The threshold nearest to the rule's that some label set was beyond for long enough in the window, rounded
    towards what is ordinary; None where the rule is no comparison with a number."""
    comparison, measured = test.comparison, test.measured
    if comparison is None or comparison.number is None or comparison.operator not in (">", ">=", "<", "<="):
        return None
    if not 0 < measured.values.size <= MAX_CELLS:
        return None
    is_upper = comparison.operator.startswith(">")
    usable = measured.present & np.isfinite(measured.values)
    values = np.where(usable, measured.values if is_upper else -measured.values, -np.inf)
    step = int(measured.times[1] - measured.times[0]) if len(measured.times) > 1 else 1000
    held = _least_over(values, -(-for_seconds * 1000 // step) + 1)
    inside = (measured.times >= window.start_ms) & (measured.times <= window.end_ms)
    best = float(held[:, inside].max(initial=-np.inf))
    if not np.isfinite(best) or best == 0:
        return None
    return rounded(best if is_upper else -best, up=not is_upper, past=True)


def _least_over(values: Floats, steps: int) -> Floats:
    """Of each row, the least of the last `steps` values up to each time; minus infinity where there are fewer."""
    least, covered = values, 1
    while covered < steps:
        by = min(covered, steps - covered)
        before = np.full_like(least, -np.inf)
        before[:, by:] = least[:, :-by] if by < least.shape[1] else least[:, :0]
        least, covered = np.minimum(least, before), covered + by
    return least
