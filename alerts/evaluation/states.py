"""What becomes of a rule's alerts at one slot, as changes of `Alert` objects and new `Flip` objects. `state_machine`
decides; nothing here touches a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.state_machine import FIRING, INACTIVE, NEVER, PENDING, Holding, States
from alerts.models import Alert, Flip, Rule, State

CODES = {State.INACTIVE: INACTIVE, State.PENDING: PENDING, State.FIRING: FIRING}
STATES = {PENDING: State.PENDING, FIRING: State.FIRING}


@dataclass(frozen=True)
class Sample:
    """One sample of a rule's result at a slot, under the labels of its alert."""

    fingerprint: str
    labels: dict[str, str]
    value: float


@dataclass
class RuleState:
    """A rule's open alerts by fingerprint, and what changed them since they were read."""

    rule: Rule
    open: dict[str, Alert]
    created: list[Alert] = field(default_factory=list)
    touched: dict[int, Alert] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)

    def advance(self, slot: dt.datetime, samples: Iterable[Sample], now: dt.datetime) -> None:
        """Take the rule's result at the slot. Identity is the fingerprint: labels never change, values do."""
        found = {sample.fingerprint: sample for sample in samples}
        for fingerprint, sample in found.items():
            self._take(fingerprint, sample, slot)
        if not self.open:
            return
        alerts = [*self.open.values()]
        before = States.of(map(_row, alerts))
        has_sample = np.array([alert.fingerprint in found for alert in alerts])
        after = before.advance(has_sample, milliseconds(slot), self._holding)
        for alert, code, missing in zip(alerts, after.codes.tolist(), after.missing_ms.tolist(), strict=True):
            self._missing(alert, missing != NEVER, slot)
            self._move(alert, code, slot, now)

    def count_at(self, slot: dt.datetime, samples: Iterable[Sample]) -> int:
        """How many alerts there would be after this result: those with a sample, and
        those that keep firing without one."""
        found = {sample.fingerprint for sample in samples}
        missing = [alert for fingerprint, alert in self.open.items() if fingerprint not in found]
        if not missing:
            return len(found)
        after = States.of(map(_row, missing)).advance(np.zeros(len(missing), bool), milliseconds(slot), self._holding)
        return len(found) + int((after.codes != INACTIVE).sum())

    def close(self, slot: dt.datetime, now: dt.datetime) -> None:
        """End every open alert without resolving it, since the rule is paused or switched off."""
        for alert in [*self.open.values()]:
            self._end(alert, State.INACTIVE, slot, now)

    def discard(self) -> None:
        """Forget every change since the open alerts were read."""
        self.created, self.touched, self.flips = [], {}, []

    def changed(self) -> list[Alert]:
        """Every alert that is new or different."""
        return [*self.created, *self.touched.values()]

    @property
    def _holding(self) -> Holding:
        return Holding(self.rule.for_seconds * 1000, self.rule.keep_firing_seconds * 1000)

    def _take(self, fingerprint: str, sample: Sample, slot: dt.datetime) -> None:
        alert = self.open.get(fingerprint)
        if alert is None:
            alert = Alert(
                rule=self.rule,
                fingerprint=fingerprint,
                labels=sample.labels,
                state=State.INACTIVE,
                value=sample.value,
                active_at=slot,
            )
            self.open[fingerprint] = alert
            self.created.append(alert)
        else:
            alert.value = sample.value
            self._touch(alert)

    def _missing(self, alert: Alert, is_missing: bool, slot: dt.datetime) -> None:
        if is_missing == (alert.missing_since is None):
            alert.missing_since = slot if is_missing else None
            self._touch(alert)

    def _move(self, alert: Alert, code: int, slot: dt.datetime, now: dt.datetime) -> None:
        if code == CODES[State(alert.state)]:
            return
        if code == INACTIVE:
            # One that is pending again after it fired resolves too: somebody was notified of it.
            self._end(alert, State.RESOLVED if alert.fired_at is not None else State.INACTIVE, slot, now)
            return
        if code == FIRING:
            alert.fired_at = alert.fired_at or slot
        self._flip(alert, STATES[code], slot, now)

    def _end(self, alert: Alert, state: State, slot: dt.datetime, now: dt.datetime) -> None:
        alert.ended_at = slot
        self._flip(alert, state, slot, now)
        del self.open[alert.fingerprint]

    def _flip(self, alert: Alert, to: State, slot: dt.datetime, now: dt.datetime) -> None:
        flip = Flip(
            alert=alert,
            from_state=alert.state,
            to_state=to,
            at=slot,
            value=alert.value,
            threshold=self.rule.threshold,
            created_at=now,
        )
        self.flips.append(flip)
        alert.state = to
        self._touch(alert)

    def _touch(self, alert: Alert) -> None:
        if alert.pk is not None:
            self.touched[alert.pk] = alert


def _row(alert: Alert) -> tuple[int, int, int]:
    missing = NEVER if alert.missing_since is None else milliseconds(alert.missing_since)
    return CODES[State(alert.state)], milliseconds(alert.active_at), missing
