"""Somebody says that they look after an alert."""

import datetime as dt

from django.contrib.auth.models import User

from alerts.models import OPEN_STATES, Alert


def acknowledge(alert: Alert, *, by: User, now: dt.datetime) -> bool:
    """Take an open alert. False when somebody else was first, or it has ended."""
    taken = Alert.objects.filter(pk=alert.pk, state__in=OPEN_STATES, acknowledged_at=None)
    return bool(taken.update(acknowledged_by=by, acknowledged_at=now))


def unacknowledge(alert: Alert) -> None:
    """Give it back."""
    Alert.objects.filter(pk=alert.pk).update(acknowledged_by=None, acknowledged_at=None)
