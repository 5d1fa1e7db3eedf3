"""How alerts go from one state to the next: Prometheus's states, for all alerts of a rule
at once. Knows no database and no labels.

The one place where `for` and `keep_firing_for` are applied: the evaluation (`states`), what a rule would
have done (`backtest`) and the unit tests of rule files (`alerts.rulefiles.evaluation`) all come here.
Source: prometheus `rules/alerting.go`, `Eval`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promql.values import Bools, Ints

Codes = npt.NDArray[np.int8]

INACTIVE, PENDING, FIRING = 0, 1, 2
NEVER = -1
"""In place of a time (ms) that has not come."""


@dataclass(frozen=True)
class Holding:
    """How long (ms) a condition holds before its alert fires, and how long an alert goes on firing without it."""

    for_ms: int = 0
    keep_firing_ms: int = 0


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

    def advance(self, has_sample: Bools, now_ms: int, holding: Holding) -> States:
        """The alerts after an evaluation in which those of `has_sample` are in the rule's result.

        An alert whose `for` was raised above its age is pending again. One that is pending ends at the first miss; one
        that fires goes on for as long as it is kept.
        """
        active = np.where(has_sample & (self.codes == INACTIVE), now_ms, self.active_ms)
        gone = ~has_sample & (self.codes == FIRING)
        missing = np.where(gone, np.where(self.missing_ms == NEVER, now_ms, self.missing_ms), NEVER)
        kept = gone & (now_ms - missing < holding.keep_firing_ms)
        held = np.where(now_ms - active >= holding.for_ms, FIRING, PENDING)
        codes = np.where(has_sample, held, np.where(kept, FIRING, INACTIVE)).astype(np.int8)
        return States(codes, active, np.where(kept, missing, NEVER))

    def as_rows(self) -> list[tuple[int, int, int]]:
        """The code, the time active and the time missing of each alert."""
        return [*zip(self.codes.tolist(), self.active_ms.tolist(), self.missing_ms.tolist(), strict=True)]


def over_time(present: Bools, times: Ints, holding: Holding) -> Codes:
    """Codes [series, times] of series that have a sample where `present` is true; none has an alert before."""
    codes = np.zeros(present.shape, dtype=np.int8)
    states = States.inactive(len(present))
    for column, now_ms in enumerate(times.tolist()):
        states = states.advance(present[:, column], now_ms, holding)
        codes[:, column] = states.codes
    return codes
