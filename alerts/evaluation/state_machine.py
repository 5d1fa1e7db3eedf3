"""How alerts go from one state to the next: Prometheus's states, for all alerts of a rule
at once. Knows no database and no labels.

The one place where `for`, `keep_firing_for`, recovery, missing knowledge and flapping are applied: the evaluation
(`states`), what a rule would have done (`backtest`) and the unit tests of rule files (`alerts.rulefiles.evaluation`)
all come here. Source: prometheus `rules/alerting.go`, `Eval`; what it does not have is off unless a rule asks for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from promql.values import Bools, Ints

Codes = npt.NDArray[np.int8]

INACTIVE, PENDING, FIRING = 0, 1, 2
NEVER = -1
"""In place of a time (ms) that has not come."""
LAST = np.iinfo(np.int64).max
"""A time (ms) after all others."""
FLAP_MS = 3_600_000
"""The time over which it is counted how often an alert began to fire."""


@dataclass(frozen=True)
class Holding:
    """How long (ms) a condition holds before its alert fires, for all or for each; how long an alert goes on firing
    without it; and how often one may begin to fire within FLAP_MS (0: any number): past that it goes on firing until
    fewer of these beginnings are so recent."""

    for_ms: int | Ints = 0
    keep_firing_ms: int = 0
    flap_limit: int = 0


@dataclass(frozen=True)
class Seen:
    """What an evaluation found, an element per alert: whether its condition holds; whether what is measured has not
    recovered, which keeps an alert that fires and begins none; whether nothing is known of it, so that it stays as it
    is; and how often it began to fire within FLAP_MS."""

    has_sample: Bools
    is_unrecovered: Bools | None = None
    is_unknown: Bools | None = None
    firings: Ints | None = None

    def at(self, column: int) -> Seen:
        """What one of many evaluations found, where each has a column."""
        return Seen(
            self.has_sample[:, column],
            None if self.is_unrecovered is None else self.is_unrecovered[:, column],
            None if self.is_unknown is None else self.is_unknown[:, column],
        )


@dataclass(frozen=True)
class States:
    """Alerts at one time, an element each: the state, since when (Unix ms) there is a sample, and since when it is
    missing while the alert goes on firing."""

    codes: Codes
    active_ms: Ints
    missing_ms: Ints

    @classmethod
    def inactive(cls, count: int) -> States:
        """Alerts that never had a sample."""
        return cls(np.zeros(count, dtype=np.int8), np.full(count, NEVER), np.full(count, NEVER))

    @classmethod
    def of(cls, alerts: Iterable[tuple[int, int, int]]) -> States:
        """From the code, the time active and the time missing of each alert."""
        columns = np.array([*alerts], dtype=np.int64).reshape(-1, 3)
        return cls(columns[:, 0].astype(np.int8), columns[:, 1], columns[:, 2])

    def advance(self, seen: Seen, now_ms: int, holding: Holding) -> States:
        """The alerts after an evaluation.

        An alert whose `for` was raised above its age is pending again. One that is pending ends at the first miss; one
        that fires goes on for as long as it is kept.
        """
        has_sample, is_firing = seen.has_sample, self.codes == FIRING
        active = np.where(has_sample & (self.codes == INACTIVE), now_ms, self.active_ms)
        lasts = ~has_sample & is_firing & (False if seen.is_unrecovered is None else seen.is_unrecovered)
        gone = ~has_sample & is_firing & ~lasts
        missing = np.where(gone, np.where(self.missing_ms == NEVER, now_ms, self.missing_ms), NEVER)
        kept = gone & (now_ms - missing < holding.keep_firing_ms)
        if holding.flap_limit and seen.firings is not None:
            kept |= gone & (seen.firings > holding.flap_limit)
        held = np.where(now_ms - active >= holding.for_ms, FIRING, PENDING)
        codes = np.where(has_sample, held, np.where(kept | lasts, FIRING, INACTIVE)).astype(np.int8)
        after = States(codes, active, np.where(kept, missing, NEVER))
        return after if seen.is_unknown is None else after._but(self, seen.is_unknown)

    def _but(self, before: States, where: Bools) -> States:
        """The same, but as before where it says so."""
        return States(
            np.where(where, before.codes, self.codes),
            np.where(where, before.active_ms, self.active_ms),
            np.where(where, before.missing_ms, self.missing_ms),
        )

    def picked(self, rows: Ints) -> States:
        """Some of the alerts, by their places; -1 for one that never had a sample."""
        known = States(
            np.append(self.codes, np.int8(INACTIVE)),
            np.append(self.active_ms, NEVER),
            np.append(self.missing_ms, NEVER),
        )
        return States(known.codes[rows], known.active_ms[rows], known.missing_ms[rows])

    def as_rows(self) -> list[tuple[int, int, int]]:
        """The code, the time active and the time missing of each alert."""
        return [*zip(self.codes.tolist(), self.active_ms.tolist(), self.missing_ms.tolist(), strict=True)]


class Course:
    """Alerts on their way through time, a stretch of evaluations at once. `states` are those after the last one."""

    def __init__(self, count: int = 0) -> None:
        self.states = States.inactive(count)
        # When alerts began to fire within FLAP_MS (Unix ms), and which: kept where a rule counts that.
        self._began: deque[tuple[int, Ints]] = deque()

    @property
    def is_open(self) -> Bools:
        """Which alerts are not over, or began to fire so lately that it still matters."""
        found: Bools = self.states.codes != INACTIVE
        for _, rows in self._began:
            found[rows] = True
        return found

    def of(self, rows: Ints) -> Course:
        """The same for some of the alerts, by their places here; -1 for one that there was not."""
        there, found = rows >= 0, Course(len(rows))
        found.states = self.states.picked(rows)
        place = np.full(len(self.states.codes), -1)
        place[rows[there]] = np.flatnonzero(there)
        kept = ((at, place[began][place[began] >= 0]) for at, began in self._began)
        found._began = deque((at, began) for at, began in kept if len(began))
        return found

    def through(self, seen: Seen, times: Ints, holding: Holding) -> Codes:
        """Codes [alerts, times] of evaluations at these times, of which `seen` tells in matrices (`firings` aside,
        which are counted here)."""
        codes = np.zeros(seen.has_sample.shape, dtype=np.int8)
        given = [one for one in (seen.has_sample, seen.is_unrecovered, seen.is_unknown) if one is not None]
        changes = np.zeros(len(times), dtype=bool)
        for one in given:
            changes[1:] |= (one[:, 1:] != one[:, :-1]).any(axis=0)
        changing = [*np.flatnonzero(changes).tolist(), len(times)]
        column = following = 0
        while column < len(times):
            self._advance(seen.at(column), int(times[column]), holding)
            # Until something else is seen, or a time is over, every evaluation finds the same.
            while changing[following] <= column:
                following += 1
            until = min(changing[following], int(np.searchsorted(times, self._due(int(times[column]), holding))))
            codes[:, column:until] = self.states.codes[:, np.newaxis]
            column = until
        return codes

    def _advance(self, seen: Seen, now_ms: int, holding: Holding) -> None:
        if not holding.flap_limit:
            self.states = self.states.advance(seen, now_ms, holding)
            return
        while self._began and self._began[0][0] <= now_ms - FLAP_MS:
            self._began.popleft()
        firings = np.zeros(len(seen.has_sample), dtype=np.int64)
        for _, rows in self._began:
            firings[rows] += 1
        after = self.states.advance(replace(seen, firings=firings), now_ms, holding)
        began = np.flatnonzero((after.codes == FIRING) & (self.states.codes != FIRING))
        if len(began):
            self._began.append((now_ms, began))
        self.states = after

    def _due(self, now_ms: int, holding: Holding) -> int:
        """When (Unix ms) an alert changes next though nothing else is seen."""
        waits = (self.states.active_ms + holding.for_ms)[self.states.codes == PENDING]
        kept = (self.states.missing_ms + holding.keep_firing_ms)[self.states.missing_ms != NEVER]
        counted = np.array([at + FLAP_MS for at, _ in self._began], dtype=np.int64)
        dues = np.concatenate([waits, kept, counted])
        return int(np.min(dues, initial=LAST, where=dues > now_ms))


def over_time(has_sample: Bools, times: Ints, holding: Holding) -> Codes:
    """Codes [alerts, times] of alerts whose condition holds where `has_sample` is true; none is there before."""
    return Course(len(has_sample)).through(Seen(has_sample), times, holding)
