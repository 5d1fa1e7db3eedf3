"""9 flips, what late records change: a rule's slots evaluated again, compared with what came of them before.

The replay begins with the alerts as they were before its first slot and goes through the one state machine. What it
finds otherwise is corrected on the alerts of today: one that should have fired is notified, one that should not have is
resolved; both say why. Nothing here touches a database.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from alerts.evaluation.states import RuleState
from alerts.models import OPEN_STATES, Alert, Flip, State

NOTIFIED = "Records that came late show that it fired."
ENDED = "Resolved, as records that came late show that its condition no longer held."
NEEDLESS = "Records that came late show that it need not have fired."


@dataclass
class Corrections:
    """What is to be written of a rule: alerts and flips as `flips.write` takes them, and alerts of which other columns
    change too (`amended`)."""

    state: RuleState
    amended: list[Alert] = field(default_factory=list)


def as_of(alerts: Iterable[Alert], first: dt.datetime) -> dict[str, Alert]:
    """The alerts that were open just before a slot, as they were then, by fingerprint: copies that are not stored."""
    found = {}
    for alert in alerts:
        if alert.active_at >= first or (alert.ended_at is not None and alert.ended_at < first):
            continue
        fired = alert.fired_at if alert.fired_at is not None and alert.fired_at < first else None
        missing = alert.missing_since if alert.missing_since is not None and alert.missing_since < first else None
        found[alert.fingerprint] = Alert(
            rule=alert.rule,
            fingerprint=alert.fingerprint,
            labels=alert.labels,
            state=State.PENDING if fired is None else State.FIRING,
            value=alert.value,
            annotations=alert.annotations,
            active_at=alert.active_at,
            fired_at=fired,
            missing_since=missing,
            severity=alert.severity,
            threshold=alert.threshold,
            for_seconds=alert.for_seconds,
            channel_names=alert.channel_names,
        )
    return found


def corrections(
    replay: RuleState, began: Sequence[Alert], actual: Sequence[Alert], last: dt.datetime, now: dt.datetime
) -> Corrections:
    """Compare a replay, which began with some alerts, with the alerts that there are; `last` is the last slot of
    both."""
    opened = {alert.fingerprint: alert for alert in actual if alert.state in OPEN_STATES}
    over = [alert for alert in actual if alert.state == State.RESOLVED]
    made = Corrections(RuleState(replay.rule, dict(opened)))
    ours, theirs = _by_fingerprint([*began, *replay.created]), _by_fingerprint(actual)
    for fingerprint, alerts in ours.items():
        for alert in alerts:
            _add_missing(made, alert, theirs.get(fingerprint, []), replay.flips, now)
    for fingerprint, alert in opened.items():
        if fingerprint not in replay.open:
            if alert.fired_at is not None:
                _amend(made, alert, ENDED)
            made.state.end(alert, last, now)
    for alert in over:
        if not any(_fired_at_once(one, alert) for one in ours.get(alert.fingerprint, [])):
            _amend(made, alert, NEEDLESS)
    return made


def _by_fingerprint(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        found[alert.fingerprint].append(alert)
    return found


def _add_missing(
    made: Corrections, alert: Alert, theirs: Sequence[Alert], flips: Sequence[Flip], now: dt.datetime
) -> None:
    """Add what the replay found of an alert and nobody was notified."""
    is_open = alert.state in OPEN_STATES
    present = next((one for one in theirs if one.state in OPEN_STATES), None) if is_open else None
    if present is not None:
        if alert.active_at < present.active_at:
            present.active_at = alert.active_at
            _amend(made, present, present.correction)
        if alert.state == State.FIRING and present.state == State.PENDING:
            made.state.fire(present, alert.fired_at or alert.active_at, now)
            _amend(made, present, NOTIFIED)
        return
    notified = [one for one in theirs if _fired_at_once(one, alert)]
    if not is_open and (alert.fired_at is None or notified):
        return
    if notified:
        # It was notified and has ended since: it goes on from there.
        ended = max(one.ended_at for one in notified if one.ended_at is not None)
        alert = _going_on(alert, ended)
        own = [Flip(alert=alert, from_state=State.INACTIVE, to_state=alert.state, at=ended, value=alert.value)]
    else:
        own = [flip for flip in flips if flip.alert is alert]
    if alert.fired_at is not None:
        alert.correction = NOTIFIED
    for flip in own:
        flip.created_at, flip.threshold = now, alert.threshold
    made.state.created.append(alert)
    made.state.flips += own


def _going_on(alert: Alert, since: dt.datetime) -> Alert:
    """A copy that is not stored and begins later."""
    fields = {one.attname: getattr(alert, one.attname) for one in Alert._meta.concrete_fields if not one.primary_key}
    copied = Alert(**{**fields, "active_at": since, "fired_at": since if alert.fired_at is not None else None})
    copied.rule = alert.rule
    return copied


def _fired_at_once(one: Alert, other: Alert) -> bool:
    """Whether both fired at some time."""
    if one.fired_at is None or other.fired_at is None:
        return False
    before = other.ended_at is None or one.fired_at < other.ended_at
    return before and (one.ended_at is None or other.fired_at < one.ended_at)


def _amend(made: Corrections, alert: Alert, text: str) -> None:
    alert.correction = text
    if alert not in made.amended:
        made.amended.append(alert)
