"""What becomes of a rule's alerts at one slot: Prometheus's states, as changes of `Alert` objects and new `Flip` objects. Touches no database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from alerts.models import Alert, Flip, Rule, State


@dataclass(frozen=True)
class Hit:
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

    def advance(self, slot: dt.datetime, hits: Iterable[Hit], now: dt.datetime) -> None:
        """Take the rule's result at the slot. Identity is the fingerprint: labels never change, values do."""
        found = {hit.fingerprint: hit for hit in hits}
        for fingerprint, hit in found.items():
            alert = self.open.get(fingerprint)
            if alert is None:
                self._start(slot, hit, now)
            else:
                self._hold(alert, slot, hit, now)
        for fingerprint in [fingerprint for fingerprint in self.open if fingerprint not in found]:
            self._miss(self.open[fingerprint], slot, now)

    def close(self, slot: dt.datetime, now: dt.datetime) -> None:
        """End every open alert without resolving it, since the rule is paused or switched off."""
        for alert in list(self.open.values()):
            self._end(alert, State.INACTIVE, slot, now)

    def changed(self) -> list[Alert]:
        """Every alert that is new or different."""
        return [*self.created, *self.touched.values()]

    def _start(self, slot: dt.datetime, hit: Hit, now: dt.datetime) -> None:
        alert = Alert(
            rule=self.rule,
            fingerprint=hit.fingerprint,
            labels=hit.labels,
            state=State.INACTIVE,
            value=hit.value,
            active_at=slot,
        )
        self.open[hit.fingerprint] = alert
        self.created.append(alert)
        if self.rule.for_seconds:
            self._flip(alert, State.PENDING, slot, now)
        else:
            self._fire(alert, slot, now)

    def _hold(self, alert: Alert, slot: dt.datetime, hit: Hit, now: dt.datetime) -> None:
        alert.value = hit.value
        alert.missing_since = None
        self._touch(alert)
        held = slot - alert.active_at >= dt.timedelta(seconds=self.rule.for_seconds)
        if alert.state == State.PENDING and held:
            self._fire(alert, slot, now)
        elif alert.state == State.FIRING and not held:
            # `for` was raised above the alert's age: it has to hold longer now.
            self._flip(alert, State.PENDING, slot, now)

    def _miss(self, alert: Alert, slot: dt.datetime, now: dt.datetime) -> None:
        if alert.state == State.FIRING and self.rule.keep_firing_seconds:
            if alert.missing_since is None:
                alert.missing_since = slot
                self._touch(alert)
            if slot - alert.missing_since < dt.timedelta(seconds=self.rule.keep_firing_seconds):
                return
        # Pending again after having fired: somebody was told, so it resolves.
        self._end(alert, State.RESOLVED if alert.fired_at is not None else State.INACTIVE, slot, now)

    def _fire(self, alert: Alert, slot: dt.datetime, now: dt.datetime) -> None:
        alert.fired_at = alert.fired_at or slot
        self._flip(alert, State.FIRING, slot, now)

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
