"""How alerts go from one state to the next: Prometheus's states, for all alerts of a rule
at once. Knows no database and no labels.

The one place where `for`, `keep_firing_for`, recovery, missing knowledge and flapping are applied: the evaluation
(`states`), what a rule would have done (`backtest`) and the unit tests of rule files (`alerts.rulefiles.evaluation`)
all come here. Source: prometheus `rules/alerting.go`, `Eval`; what it does not have is off unless a rule asks for it.
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

    def as_rows(self) -> list[tuple[int, int, int]]:
        """The code, the time active and the time missing of each alert."""
        return [*zip(self.codes.tolist(), self.active_ms.tolist(), self.missing_ms.tolist(), strict=True)]


def over_time(
    has_sample: Bools,
    times: Ints,
    holding: Holding,
    is_unrecovered: Bools | None = None,
    is_unknown: Bools | None = None,
) -> Codes:
    """Codes [series, times] of series whose condition holds where `has_sample` is true; none has an alert before. The
    others as in `Seen`."""
    codes = np.zeros(has_sample.shape, dtype=np.int8)
    began = np.zeros(has_sample.shape, dtype=np.int8)
    states = States.inactive(len(has_sample))
    firings, oldest = np.zeros(len(has_sample), dtype=np.int64), 0
    for column, now_ms in enumerate(times.tolist()):
        while times[oldest] <= now_ms - FLAP_MS:
            firings -= began[:, oldest]
            oldest += 1
        seen = Seen(
            has_sample[:, column],
            None if is_unrecovered is None else is_unrecovered[:, column],
            None if is_unknown is None else is_unknown[:, column],
            firings,
        )
        after = states.advance(seen, now_ms, holding)
        if holding.flap_limit:
            began[:, column] = (after.codes == FIRING) & (states.codes != FIRING)
            firings += began[:, column]
        states = after
        codes[:, column] = states.codes
    return codes
