"""What a rule would have done: its expression over a stretch of the past, with `for` and
keep-firing applied as the evaluation does."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

import promql
from alerts.evaluation.state_machine import FIRING, PENDING, Codes, Holding, over_time
from alerts.rules.expression import Comparison, split
from promql.values import Bools, Ints

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


def backtest(
    expr: str,
    source: promql.Source,
    *,
    span_ms: tuple[int, int],
    step_ms: int,
    for_seconds: int,
    keep_firing_seconds: int = 0,
) -> Backtest:
    """Evaluate an expression whose threshold is filled in, over a span (epoch ms). Raises promql.PromQLError."""
    began = time.monotonic()
    end = span_ms[1] // step_ms * step_ms
    start = end - (span_ms[1] - span_ms[0]) // step_ms * step_ms
    result = promql.range(expr, source, start, end, step_ms)
    comparison = split(expr)
    measured, limit = result, None
    if comparison is not None:
        measured = promql.range(comparison.measured, source, start, end, step_ms)
        if comparison.number is None:
            limit = promql.range(comparison.limit, source, start, end, step_ms)
    labels = [{name: text for name, text in one.items() if name != "__name__"} for one in result.labels]
    states = over_time(result.present, result.times, Holding(for_seconds * 1000, keep_firing_seconds * 1000))
    lowest = comparison is not None and comparison.operator.startswith("<")
    found = episodes(labels, states, result, lowest=lowest)
    return Backtest(result.times, labels, states, found, comparison, measured, limit, time.monotonic() - began)


def episodes(labels: list[promql.Labels], states: Codes, result: promql.Result, *, lowest: bool) -> list[Episode]:
    """Every stretch in which a label set would have fired, oldest first."""
    found = []
    times, last = result.times, len(result.times) - 1
    for row, own in enumerate(labels):
        for start, stop in stretches(states[row] == FIRING):
            began = start
            while began and states[row, began - 1] == PENDING:
                began -= 1
            values = result.values[row, start:stop][result.present[row, start:stop]]
            peak = float(np.nanmin(values) if lowest else np.nanmax(values)) if len(values) else float("nan")
            ended = int(times[stop]) if stop <= last else None
            seconds = (times[min(stop, last)] - times[start]) / 1000
            found.append(Episode(own, int(times[began]), int(times[start]), ended, float(seconds), peak))
    return sorted(found, key=lambda episode: (episode.fired_ms, sorted(episode.labels.items())))


def stretches(flags: Bools) -> list[tuple[int, int]]:
    """[start, stop) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
