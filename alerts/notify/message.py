"""What a notification says: a flip, or a test, as a `Message` that every transport lays out in its own way."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from alerts.evidence.brief import brief
from alerts.evidence.traces import lines_of
from alerts.models import Alert, Flip, Rule, State
from alerts.notify.transports.contract import Message
from core.ui import numbers

LATE_AFTER = dt.timedelta(minutes=2)


def flip_message(flip: Flip, now: dt.datetime) -> Message:
    """The message of a flip to firing or resolved, sent at `now`. Reads flip.alert.rule.runbook."""
    alert, base = flip.alert, settings.PORTAL.public_url
    rule = alert.rule
    return Message(
        state=flip.to_state,
        severity=alert.labels.get("severity", rule.severity),
        title=alert.title,
        alertname=alert.labels.get("alertname", rule.name),
        description=str(alert.annotations.get("description", "")),
        labels=alert.shown_labels,
        annotations=alert.annotations,
        value="" if rule.external else numbers.measured(flip.value, rule.unit),
        threshold=_threshold_text(rule, flip.threshold),
        since=alert.fired_at or alert.active_at,
        at=flip.at,
        note=_note(alert, flip, now),
        rule_url=f"{base}/rules/{rule.pk}/",
        alert_url=f"{base}/alerts/{alert.pk}/",
        runbook_url=f"{base}/runbooks/{rule.runbook.slug}/" if rule.runbook else "",
        runbook_title=rule.runbook.title if rule.runbook else "",
        fingerprint=alert.fingerprint,
        key=f"{alert.pk}-{flip.pk}",
        thread=f"alert-{alert.pk}",
        traces=lines_of(alert, now) if flip.to_state == State.FIRING else (),
        evidence=brief(alert, now) if flip.to_state == State.FIRING else (),
    )


def test_message(channel_name: str, now: dt.datetime, key: str) -> Message:
    """A message that only shows that the channel works."""
    base = settings.PORTAL.public_url
    return Message(
        state="test",
        severity="info",
        title=f"Test message to {channel_name}",
        alertname="Test",
        description="The portal can reach this channel. Nothing is wrong.",
        labels={},
        annotations={},
        value="",
        threshold="",
        since=now,
        at=now,
        note="",
        rule_url=f"{base}/rules/",
        alert_url=f"{base}/channels/",
        runbook_url="",
        runbook_title="",
        fingerprint="test",
        key=f"test-{key}",
    )


def _threshold_text(rule: Rule, threshold: float | None) -> str:
    """The threshold that was in force, with what it counts."""
    if threshold is None:
        return ""
    return f"{threshold:,g} {rule.threshold_unit or rule.unit}".rstrip()


def _note(alert: Alert, flip: Flip, now: dt.datetime) -> str:
    """What the reader must know when this comes late."""
    notes = [alert.correction] if alert.correction else []
    if flip.delay > LATE_AFTER + dt.timedelta(seconds=settings.PORTAL.evaluation_delay):
        notes.append(f"Evaluated late: this happened at {_clock(flip.at)} and was found at {_clock(flip.created_at)}.")
    if now - flip.created_at > LATE_AFTER:
        notes.append(f"Sent late: it was found at {_clock(flip.created_at)}.")
    if flip.to_state == State.FIRING and alert.ended_at is not None:
        notes.append(f"It has ended meanwhile, at {_clock(alert.ended_at)}.")
    return " ".join(notes)


def _clock(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
