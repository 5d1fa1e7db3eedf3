"""What becomes of a rule's alerts at one slot, as changes of `Alert` objects and new `Flip` objects. `state_machine`
decides; nothing here touches a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.state_machine import FIRING, FLAP_MS, INACTIVE, NEVER, PENDING, Holding, Seen, States
from alerts.models import Alert, Flip, Rule, State
from alerts.rules.thresholds import Bound, own_bound
from promql.values import Ints

CODES = {State.INACTIVE: INACTIVE, State.PENDING: PENDING, State.FIRING: FIRING}
STATES = {PENDING: State.PENDING, FIRING: State.FIRING}


@dataclass(frozen=True)
class Sample:
    """One sample of a rule's result at a slot, under the labels of its alert. One that does not begin an alert keeps
    one that fires.

    `bound` is what it was judged by, None the rule's own. `reason` says what a sample stands for that is none of the
    result: that nothing is known.
    """

    fingerprint: str
    labels: dict[str, str]
    value: float
    begins: bool = True
    bound: Bound | None = None
    reason: str = ""


@dataclass
class RuleState:
    """A rule's open alerts by fingerprint, and what changed them since they were read.

    `fired` has the times (Unix ms) at which alerts that are over began to fire, where it matters how often that was;
    `reasons` why there is an alert that stands for no sample."""

    rule: Rule
    open: dict[str, Alert]
    fired: dict[str, list[int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    created: list[Alert] = field(default_factory=list)
    touched: dict[int, Alert] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)

    def advance(
        self, slot: dt.datetime, samples: Iterable[Sample], now: dt.datetime, *, is_unknown: bool = False
    ) -> None:
        """Take the rule's result at the slot. Identity is the fingerprint: labels never change, values do. With
        `is_unknown` alerts without a sample stay as they are."""
        found = {sample.fingerprint: sample for sample in samples}
        for fingerprint, sample in found.items():
            if sample.begins or fingerprint in self.open:
                self._take(fingerprint, sample, slot)
        if not self.open:
            return
        alerts = [*self.open.values()]
        before = States.of(map(_row, alerts))
        after = before.advance(self._seen(alerts, found, slot, is_unknown), milliseconds(slot), self._holding(alerts))
        for alert, code, missing in zip(alerts, after.codes.tolist(), after.missing_ms.tolist(), strict=True):
            self._missing(alert, missing != NEVER, slot)
            self._move(alert, code, slot, now)

    def count_at(self, slot: dt.datetime, samples: Iterable[Sample]) -> int:
        """How many alerts there would be after this result: those with a sample, and those that keep firing without
        one."""
        found = {sample.fingerprint: sample for sample in samples}
        begun = {fingerprint for fingerprint, sample in found.items() if sample.begins}
        missing = [alert for fingerprint, alert in self.open.items() if fingerprint not in begun]
        if not missing:
            return len(begun)
        seen = self._seen(missing, found, slot, False)
        after = States.of(map(_row, missing)).advance(seen, milliseconds(slot), self._holding(missing))
        return len(begun) + int((after.codes != INACTIVE).sum())

    def close(self, slot: dt.datetime, now: dt.datetime) -> None:
        """End every open alert without resolving it, since the rule is paused or switched off."""
        for alert in [*self.open.values()]:
            self._end(alert, State.INACTIVE, slot, now)

    def end(self, alert: Alert, slot: dt.datetime, now: dt.datetime) -> None:
        """End an open alert, resolved where it fired."""
        self._end(alert, State.RESOLVED if alert.fired_at is not None else State.INACTIVE, slot, now)

    def fire(self, alert: Alert, slot: dt.datetime, now: dt.datetime) -> None:
        """Let an open alert fire."""
        alert.fired_at = slot
        self._flip(alert, State.FIRING, slot, now)

    def discard(self) -> None:
        """Forget every change since the open alerts were read."""
        self.created, self.touched, self.flips = [], {}, []

    def changed(self) -> list[Alert]:
        """Every alert that is new or different."""
        return [*self.created, *self.touched.values()]

    def _holding(self, alerts: list[Alert]) -> Holding:
        return holding_of(self.rule, np.array([alert.for_seconds for alert in alerts]))

    def _seen(self, alerts: list[Alert], found: dict[str, Sample], slot: dt.datetime, is_unknown: bool) -> Seen:
        """What the samples mean for these alerts."""
        samples = [found.get(alert.fingerprint) for alert in alerts]
        has_sample = np.array([sample is not None and sample.begins for sample in samples])
        unrecovered = np.array([sample is not None and not sample.begins for sample in samples])
        unknown = np.array([sample is None for sample in samples]) if is_unknown else None
        firings = np.array([self._firings(alert, slot) for alert in alerts]) if self.rule.flap_limit else None
        return Seen(has_sample, unrecovered, unknown, firings)

    def _firings(self, alert: Alert, slot: dt.datetime) -> int:
        """How often it began to fire within FLAP_MS before the slot."""
        since = milliseconds(slot) - FLAP_MS
        own = alert.fired_at is not None and milliseconds(alert.fired_at) > since
        return own + sum(at > since for at in self.fired.get(alert.fingerprint, ()))

    def _take(self, fingerprint: str, sample: Sample, slot: dt.datetime) -> None:
        if sample.reason:
            self.reasons[fingerprint] = sample.reason
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
        bound = sample.bound or own_bound(self.rule)
        alert.severity, alert.threshold = bound.severity, bound.threshold
        alert.for_seconds, alert.channel_names = bound.for_seconds, list(bound.channels)

    def _missing(self, alert: Alert, is_missing: bool, slot: dt.datetime) -> None:
        if is_missing == (alert.missing_since is None):
            alert.missing_since = slot if is_missing else None
            self._touch(alert)

    def _move(self, alert: Alert, code: int, slot: dt.datetime, now: dt.datetime) -> None:
        if code == CODES[State(alert.state)]:
            return
        if code == INACTIVE:
            # One that is pending again after it fired resolves too: somebody was notified of it.
            self.end(alert, slot, now)
            return
        if code == FIRING:
            alert.fired_at = alert.fired_at or slot
        self._flip(alert, STATES[code], slot, now)

    def _end(self, alert: Alert, state: State, slot: dt.datetime, now: dt.datetime) -> None:
        alert.ended_at = slot
        if alert.fired_at is not None:
            self.fired.setdefault(alert.fingerprint, []).append(milliseconds(alert.fired_at))
        self._flip(alert, state, slot, now)
        del self.open[alert.fingerprint]

    def _flip(self, alert: Alert, to: State, slot: dt.datetime, now: dt.datetime) -> None:
        flip = Flip(
            alert=alert,
            from_state=alert.state,
            to_state=to,
            at=slot,
            value=alert.value,
            threshold=alert.threshold,
            created_at=now,
        )
        self.flips.append(flip)
        alert.state = to
        self._touch(alert)

    def _touch(self, alert: Alert) -> None:
        if alert.pk is not None:
            self.touched[alert.pk] = alert


def holding_of(rule: Rule, for_seconds: Ints | None = None) -> Holding:
    """How the rule holds its alerts, all with its own `for` or each with one of these."""
    for_ms = rule.for_seconds * 1000 if for_seconds is None else for_seconds * 1000
    return Holding(for_ms, rule.keep_firing_seconds * 1000, rule.flap_limit)


def _row(alert: Alert) -> tuple[int, int, int]:
    missing = NEVER if alert.missing_since is None else milliseconds(alert.missing_since)
    return CODES[State(alert.state)], milliseconds(alert.active_at), missing
