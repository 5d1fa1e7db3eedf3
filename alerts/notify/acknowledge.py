"""Somebody says that they look after an alert."""

import datetime as dt

from django.db import transaction

from alerts.models import OPEN_STATES, Alert
from core.accounts import permissions
from core.accounts.holder import Actor, user_of
from core.accounts.permissions import Person
from core.audit.record import record


def may_acknowledge(user: Person, alert: Alert) -> bool:
    """Whether the person operates the workspace that the alert names, or any where it names none."""
    named = alert.labels.get("workspace")
    operated = permissions.operated(user)
    return (operated if named is None else operated.filter(slug=named)).exists()


def acknowledge(alert: Alert, *, by: Actor, now: dt.datetime) -> bool:
    """Take an open alert. False when somebody else was first, or it has ended."""
    taken = Alert.objects.filter(pk=alert.pk, state__in=OPEN_STATES, acknowledged_at=None)
    with transaction.atomic():
        if not taken.update(acknowledged_by=user_of(by), acknowledged_at=now):
            return False
        record("acknowledged", alert, workspace=alert.labels.get("workspace"), by=by)
    return True


def unacknowledge(alert: Alert) -> None:
    """Give it back."""
    with transaction.atomic():
        given_back = Alert.objects.filter(pk=alert.pk, acknowledged_at__isnull=False)
        if given_back.update(acknowledged_by=None, acknowledged_at=None):
            record("gave back", alert, workspace=alert.labels.get("workspace"))
