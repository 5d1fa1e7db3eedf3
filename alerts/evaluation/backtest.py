"""What a rule would have done: over a stretch of the past, judged and held as the evaluation does (`judgement`,
`state_machine`)."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

import promql
from alerts.evaluation.evaluate import NO_DATA, STANDS_FOR
from alerts.evaluation.state_machine import FIRING, PENDING, Codes, over_time
from alerts.evaluation.states import holding_of
from alerts.models import Rule, WithoutData
from alerts.rules.expression import Comparison, expand, split
from alerts.rules.judgement import judge_of
from promql.values import Bools, Floats, Ints

MAX_STEPS = 1500
SHOWN_EPISODES = 12


@dataclass(frozen=True)
class Episode:
    """One alert that would have fired: label set, when (epoch ms; `ended_ms` None while it
    lasts), and its highest or lowest value."""

    labels: promql.Labels
    pending_ms: int
    fired_ms: int
    ended_ms: int | None
    seconds: float
    peak: float

    def overlaps(self, other: Episode) -> bool:
        """Whether both fire at some time."""
        return (self.ended_ms is None or other.fired_ms < self.ended_ms) and (
            other.ended_ms is None or self.fired_ms < other.ended_ms
        )


@dataclass(frozen=True)
class Backtest:
    """A rule over the past. `measured` and `limit` are the two sides of its condition,
    where it is one (`comparison`)."""

    times: Ints
    labels: list[promql.Labels]
    states: Codes
    episodes: list[Episode]
    comparison: Comparison | None
    measured: promql.Result
    limit: promql.Result | None
    seconds: float

    @property
    def firing_now(self) -> int:
        """Label sets that fire at the end."""
        return int((self.states[:, -1] == FIRING).sum()) if self.states.size else 0

    @property
    def pending_now(self) -> int:
        """Label sets that hold at the end, but not long enough."""
        return int((self.states[:, -1] == PENDING).sum()) if self.states.size else 0

    @property
    def firing_seconds(self) -> float:
        """For how long any label set would have fired."""
        return sum((end - start) / 1000 for start, end in self.firing_intervals())

    @property
    def newest(self) -> list[Episode]:
        """The last of the episodes, newest first."""
        return self.episodes[: -SHOWN_EPISODES - 1 : -1]

    def only_here(self, other: Backtest) -> int:
        """How many of the alerts would not have fired there: none of the same labels did at the time."""
        theirs: dict[frozenset[tuple[str, str]], list[Episode]] = defaultdict(list)
        for one in other.episodes:
            theirs[frozenset(one.labels.items())].append(one)
        return sum(
            not any(one.overlaps(another) for another in theirs[frozenset(one.labels.items())]) for one in self.episodes
        )

    def firing_intervals(self) -> list[tuple[int, int]]:
        """Stretches (epoch ms) in which any label set would have fired."""
        if not self.states.size:
            return []
        fired = (self.states == FIRING).any(axis=0)
        return [
            (int(self.times[start]), int(self.times[min(stop, len(fired) - 1)])) for start, stop in stretches(fired)
        ]


def step_of(span_ms: int, interval_seconds: int) -> int:
    """The distance of the evaluations of a backtest (ms): the group's interval, or a
    multiple of it over a long time."""
    interval = interval_seconds * 1000
    return interval * -(-span_ms // (interval * MAX_STEPS))


@dataclass(frozen=True)
class Judged:
    """Label sets over time: the value of each where it has one, and what becomes of it, as in
    `state_machine.over_time`."""

    times: Ints
    labels: list[promql.Labels]
    values: Floats
    present: Bools
    begins: Bools
    keeps: Bools
    for_seconds: Ints
    is_unknown: Bools | None = None

    def with_silence(self, silent: Bools, rule: Rule) -> Judged:
        """The same where a rule does not count silence as all right: alerts stay as they are, and one more says so
        where it is wanted."""
        unknown = np.broadcast_to(silent, self.present.shape)
        if rule.no_data == WithoutData.KEEP:
            return replace(self, is_unknown=unknown)
        row = silent[np.newaxis]
        return Judged(
            self.times,
            [*self.labels, {STANDS_FOR: NO_DATA}],
            np.vstack([self.values, np.full(row.shape, np.nan)]),
            np.vstack([self.present, row]),
            np.vstack([self.begins, row]),
            np.vstack([self.keeps, np.zeros(row.shape, bool)]),
            np.append(self.for_seconds, rule.for_seconds),
            np.vstack([unknown, np.zeros(row.shape, bool)]),
        )


def backtest(rule: Rule, source: promql.Source, *, span_ms: tuple[int, int], step_ms: int) -> Backtest:
    """Evaluate a rule, which need not be stored, over a span (epoch ms). Raises ExpressionError or
    promql.PromQLError."""
    began = time.monotonic()
    end = span_ms[1] // step_ms * step_ms
    start = end - (span_ms[1] - span_ms[0]) // step_ms * step_ms
    judge = judge_of(rule)
    result = promql.range(judge.query, source, start, end, step_ms)
    comparison = split(expand(rule.expr, rule.threshold))
    measured, limit = result, None
    if comparison is not None:
        measured = promql.range(comparison.measured, source, start, end, step_ms)
        if comparison.number is None:
            limit = promql.range(comparison.limit, source, start, end, step_ms)
    verdict = judge.judge(result)
    judged = Judged(
        result.times,
        [{name: text for name, text in one.items() if name != "__name__"} for one in result.labels],
        result.values,
        result.present,
        verdict.begins,
        verdict.keeps,
        verdict.for_seconds,
    )
    if judge.measured:
        judged = judged.with_silence(np.asarray(~measured.present.any(axis=0)), rule)
    holding = holding_of(rule, judged.for_seconds)
    states = over_time(judged.begins, judged.times, holding, judged.keeps, judged.is_unknown)
    lowest = comparison is not None and comparison.operator.startswith("<")
    found = episodes(judged, states, lowest=lowest)
    spent = time.monotonic() - began
    return Backtest(judged.times, judged.labels, states, found, comparison, measured, limit, spent)


def episodes(judged: Judged, states: Codes, *, lowest: bool) -> list[Episode]:
    """Every stretch in which a label set would have fired, oldest first."""
    found = []
    times, last = judged.times, len(judged.times) - 1
    for row, own in enumerate(judged.labels):
        for start, stop in stretches(states[row] == FIRING):
            began = start
            while began and states[row, began - 1] == PENDING:
                began -= 1
            values = judged.values[row, start:stop][judged.present[row, start:stop]]
            values = values[~np.isnan(values)]
            peak = float(values.min() if lowest else values.max()) if len(values) else float("nan")
            ended = int(times[stop]) if stop <= last else None
            seconds = (times[min(stop, last)] - times[start]) / 1000
            found.append(Episode(own, int(times[began]), int(times[start]), ended, float(seconds), peak))
    return sorted(found, key=lambda episode: (episode.fired_ms, sorted(episode.labels.items())))


def stretches(flags: Bools) -> list[tuple[int, int]]:
    """[start, stop) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
