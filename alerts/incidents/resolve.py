"""An incident resolved by hand: everybody who was notified hears of it, and what goes on
firing opens another one an hour later."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import QuerySet

from alerts.incidents.collect import collect, groups_of
from alerts.incidents.flush import endings
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.incidents.policy import current_policy
from alerts.models import Delivery, Flip, State, author_fields
from alerts.notify.wake import wake_channels
from core.accounts.holder import Actor, user_of
from core.audit.record import record

MAX_OUTCOME = 10_000
REOPENED_AFTER = dt.timedelta(hours=1)
BATCH = 200


def resolve(incident: Incident, outcome: str, *, by: Actor, now: dt.datetime) -> bool:
    """Close it, and keep how it ended. False when it is over already."""
    outcome = outcome.strip()[:MAX_OUTCOME]
    with transaction.atomic():
        locked = Incident.objects.select_for_update(of=("self",)).filter(pk=incident.pk, closed_at=None).first()
        if locked is None:
            return False
        (group,) = groups_of([locked], current_policy())
        said = f"Resolved by hand by {by.get_username()}{f': {outcome}' if outcome else '.'}"
        deliveries = endings(group, Delivery.Why.RESOLVED, said, now) if group.members else []
        Delivery.objects.bulk_create(deliveries)
        Member.objects.filter(incident=locked, done=False).update(done=True)
        locked.notifications += bool(deliveries)
        locked.closed_at = locked.resolved_at = now
        locked.flush_at = locked.news_at = None
        locked.resolved_by, locked.outcome = user_of(by), outcome
        locked.save()
        IncidentEvent.objects.create(
            incident=locked, kind=IncidentEvent.Kind.RESOLVED, at=now, text=outcome, **author_fields(by)
        )
        record("resolved", locked, after={"outcome": outcome}, by=by)
        channels = sorted({delivery.channel_id for delivery in deliveries if delivery.channel_id is not None})
        transaction.on_commit(lambda: wake_channels(channels), robust=True)
    return True


def to_reopen(now: dt.datetime) -> QuerySet[Member]:
    """Alerts that still fire an hour after their incident was resolved by hand, and are in no other."""
    resolved = Member.objects.filter(incident__resolved_at__lte=now - REOPENED_AFTER, alert__state=State.FIRING)
    return resolved.exclude(alert__in=Member.objects.filter(done=False).values("alert"))


def reopen_due(now: dt.datetime) -> int:
    """Bring what still fires an hour after its incident was resolved by hand into a new incident; how many alerts."""
    with transaction.atomic():
        left = to_reopen(now).values("alert")
        firing = Flip.objects.filter(alert__in=left, to_state=State.FIRING).select_related("alert__rule")
        flips = list(firing.order_by("alert_id", "-id").distinct("alert_id")[:BATCH])
        if flips:
            collect(flips, now)
    return len(flips)
