"""An alert that fires, a delivery of it, and how a page reads."""

import datetime as dt
import re
from typing import Any

from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Flip, Rule


def fire(rule: Rule, minutes: int = 20, **labels: str) -> Alert:
    """An alert of the rule that fires since a while, with its flips."""
    now = timezone.now().replace(microsecond=0)
    start = now - dt.timedelta(minutes=minutes + 10)
    alert = Alert.objects.create(
        rule=rule,
        severity=rule.severity,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        fingerprint=f"{rule.pk}-{sorted(labels.items())}"[:32],
        labels={"alertname": rule.name, "severity": rule.severity, **labels},
        annotations={"summary": f"Usage not recorded for {labels.get('model', 'a model')}"},
        state="firing",
        value=6.4,
        active_at=start,
        fired_at=now - dt.timedelta(minutes=minutes),
    )
    flip = {"alert": alert, "value": 6.4, "threshold": rule.threshold}
    Flip.objects.create(from_state="inactive", to_state="pending", at=start, created_at=start, **flip)
    Flip.objects.create(from_state="pending", to_state="firing", at=alert.fired_at, created_at=alert.fired_at, **flip)
    return alert


def deliver(alert: Alert, channel: Channel, state: str) -> Delivery:
    """A delivery of the alert's firing."""
    at = alert.fired_at
    flip = alert.flips.get(to_state="firing")
    return Delivery.objects.create(
        flip=flip,
        firing=[alert.pk],
        alert=alert,
        channel=channel,
        channel_name=channel.name,
        state=state,
        created_at=at,
        next_attempt_at=at,
    )


def text_of(answer: Any) -> str:
    """The page with single spaces, as a browser shows it; a no-break space stays."""
    return re.sub(r"[ \n]+", " ", answer.content.decode())
