"""Alerts that others evaluate: kept, ended and notified like the portal's own, under a rule that is never evaluated."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable

from django.db import connection, transaction
from django.db.models import QuerySet

from alerts.alertmanager.parse import PostedAlert
from alerts.incidents.collect import collect
from alerts.models import Alert, Flip, Rule, RuleGroup, State

NAME = "External alerts"
EXPIRED_AT_ONCE = 5000
UPDATE = """
UPDATE alerts_alert AS alert SET annotations = new.annotations, expires_at = new.expires_at
FROM unnest(%s::bigint[], %s::jsonb[], %s::timestamptz[]) AS new (id, annotations, expires_at)
WHERE alert.id = new.id
"""


def take_alerts(posted: Iterable[PostedAlert], now: dt.datetime) -> None:
    """Merge what was sent: new ones fire, known ones go on, those that are over resolve. As in Alertmanager an alert is
    its labels."""
    by_fingerprint = {alert.fingerprint: alert for alert in posted}
    if not by_fingerprint:
        return
    with transaction.atomic():
        rule = _rule()
        # In the order of ids, as evaluations change them.
        known = Alert.objects.filter(rule=rule, state=State.FIRING, fingerprint__in=by_fingerprint)
        firing = {alert.fingerprint: alert for alert in known.select_for_update().order_by("pk")}
        created, ended, kept = [], [], []
        for fingerprint, sent in by_fingerprint.items():
            alert = firing.get(fingerprint)
            if alert is None and sent.ends_at > now:
                created.append(_new(rule, fingerprint, sent))
            elif alert is not None and sent.ends_at <= now:
                alert.ended_at = max(sent.ends_at, alert.active_at)
                ended.append(alert)
            elif alert is not None:
                alert.annotations, alert.expires_at = sent.annotations, sent.ends_at
                kept.append(alert)
        Alert.objects.bulk_create(created)
        _keep(kept)
        _flip(created, ended, now)


def over(now: dt.datetime) -> QuerySet[Alert]:
    """The alerts whose end has passed without a word."""
    return Alert.objects.filter(state=State.FIRING, expires_at__lte=now)


def expire_alerts(now: dt.datetime) -> int:
    """End the alerts whose end has passed without a word; how many."""
    with transaction.atomic():
        due = over(now).select_related("rule")
        ended = list(due.select_for_update(of=["self"], skip_locked=True).order_by("pk")[:EXPIRED_AT_ONCE])
        for alert in ended:
            alert.ended_at = alert.expires_at
        _flip([], ended, now)
    return len(ended)


def _rule() -> Rule:
    """The rule that stands for all of them, locked: two posts of one alert come one after the other."""
    group, _ = RuleGroup.objects.get_or_create(name=NAME)
    defaults = {
        "expr": "vector(0)",
        "enabled": False,
        "external": True,
        "title": "Alerts that a Prometheus or Grafana sends here",
    }
    Rule.objects.get_or_create(name=NAME, workspace=None, defaults={**defaults, "group": group})
    return Rule.objects.select_for_update(of=["self"], no_key=True).get(name=NAME, workspace=None)


def _new(rule: Rule, fingerprint: str, sent: PostedAlert) -> Alert:
    return Alert(
        rule=rule,
        fingerprint=fingerprint,
        labels=sent.labels,
        state=State.FIRING,
        value=1,
        annotations=sent.annotations,
        active_at=sent.starts_at,
        fired_at=sent.starts_at,
        expires_at=sent.ends_at,
    )


def _keep(alerts: list[Alert]) -> None:
    if not alerts:
        return
    columns = (
        [alert.pk for alert in alerts],
        [json.dumps(alert.annotations) for alert in alerts],
        [alert.expires_at for alert in alerts],
    )
    with connection.cursor() as cursor:
        cursor.execute(UPDATE, columns)


def _flip(created: list[Alert], ended: list[Alert], now: dt.datetime) -> None:
    for alert in ended:
        alert.state = State.RESOLVED
    Alert.objects.bulk_update(ended, ["state", "ended_at"], batch_size=1000)
    flips = [
        Flip(alert=alert, from_state=State.INACTIVE, to_state=State.FIRING, at=alert.active_at, value=1, created_at=now)
        for alert in created
    ]
    flips += [
        Flip(
            alert=alert,
            from_state=State.FIRING,
            to_state=State.RESOLVED,
            at=alert.ended_at or now,
            value=1,
            created_at=now,
        )
        for alert in ended
    ]
    Flip.objects.bulk_create(flips)
    collect(flips, now)
