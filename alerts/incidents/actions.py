"""What a person does with an incident: acknowledge, give back, snooze, comment. Each is an event of its
timeline and a line of the audit log."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.models import Severity, author_fields
from alerts.oncall.escalate import acknowledged_until, restart, resume
from core.accounts.holder import Actor, user_of
from core.audit.record import record

MAX_SNOOZE = dt.timedelta(days=7)
MAX_COMMENT = 10_000
Kind = IncidentEvent.Kind
ORDER = {severity: place for place, severity in enumerate(Severity.values)}


class ActionError(ValueError):
    """Something that cannot be done with an incident; says why."""


def acknowledge(incident: Incident, *, by: Actor, now: dt.datetime) -> bool:
    """Take an open incident: it is neither repeated nor escalated any more. False when
    somebody else was first, or it is over."""
    free = Incident.objects.filter(pk=incident.pk, closed_at=None, acknowledged_at=None)
    until = acknowledged_until(incident, now)
    taken: dict[str, Any] = {"acknowledged_by": user_of(by), "acknowledged_at": now, "acknowledged_until": until}
    return _change(free, incident, Kind.ACKNOWLEDGED, by, now, **taken)


def unacknowledge(incident: Incident, *, by: Actor, now: dt.datetime) -> bool:
    """Give it back; repeats and escalation go on at once. False when nobody has it, or it is over."""
    taken = Incident.objects.filter(pk=incident.pk, closed_at=None, acknowledged_at__isnull=False)
    free: dict[str, Any] = {"acknowledged_by": None, "acknowledged_at": None, "acknowledged_until": None}
    with transaction.atomic():
        done = _change(taken, incident, Kind.UNACKNOWLEDGED, by, now, **free, news_at=now, flush_at=now)
        if done:
            resume(incident, now)
    return done


def snooze(incident: Incident, span: dt.timedelta, *, by: Actor, now: dt.datetime) -> bool:
    """Be quiet about it for a while. What still fires then is notified at once. False when it is over."""
    if not dt.timedelta() < span <= MAX_SNOOZE:
        raise ActionError("An incident is snoozed for seven days at most.")
    until = now + span
    open_one = Incident.objects.filter(pk=incident.pk, closed_at=None)
    text = f"until {until:%Y-%m-%d %H:%M} UTC"
    return _change(open_one, incident, Kind.SNOOZED, by, now, text, snoozed_until=until, flush_at=now)


def comment(incident: Incident, text: str, *, by: Actor, now: dt.datetime) -> None:
    """Write something down."""
    text = text.strip()
    if not text or len(text) > MAX_COMMENT:
        raise ActionError(f"A comment has 1 to {MAX_COMMENT:,} characters.")
    with transaction.atomic():
        IncidentEvent.objects.create(incident=incident, kind=Kind.COMMENT, at=now, text=text, **author_fields(by))
        record("commented", incident, after={"comment": text}, by=by)


def set_owner(incident: Incident, owner: User | None, *, by: Actor, now: dt.datetime) -> bool:
    """Say who answers for it; None: nobody."""
    text = owner.get_username() if owner else "nobody"
    return _change(Incident.objects.filter(pk=incident.pk), incident, Kind.OWNED, by, now, text, owner=owner)


def raise_severity(incident: Incident, severity: str, *, by: Actor, now: dt.datetime) -> bool:
    """Make it worse than its alerts say: escalation begins anew. ActionError for what is
    not worse; False when it is over."""
    if severity not in Severity.values:
        raise ActionError(f"A severity is one of {', '.join(Severity.values)}.")
    alerts = Member.objects.filter(incident=incident, done=False).values_list("alert__labels__severity", flat=True)
    present = [incident.raised_to, *alerts.distinct()]
    if min((ORDER.get(one or "", len(ORDER)) for one in present), default=len(ORDER)) <= ORDER[severity]:
        raise ActionError("It is as severe already.")
    with transaction.atomic():
        open_one = Incident.objects.filter(pk=incident.pk, closed_at=None)
        done = _change(open_one, incident, Kind.RAISED, by, now, f"to {severity}", raised_to=severity)
        if done:
            restart(incident, now)
    return done


def tick(incident: Incident, step: str, *, done: bool, by: Actor, now: dt.datetime) -> None:
    """Say that a step of the runbook was done, or was not."""
    kind = Kind.TICKED if done else Kind.UNTICKED
    with transaction.atomic():
        IncidentEvent.objects.create(incident=incident, kind=kind, at=now, text=step, **author_fields(by))
        record(str(kind), incident, after={"step": step}, by=by)


def _change(
    rows: QuerySet[Incident],
    incident: Incident,
    kind: IncidentEvent.Kind,
    by: Actor,
    now: dt.datetime,
    text: str = "",
    **fields: Any,
) -> bool:
    with transaction.atomic():
        if not rows.update(**fields):
            return False
        IncidentEvent.objects.create(incident=incident, kind=kind, at=now, text=text, **author_fields(by))
        record(str(kind), incident, after={"text": text} if text else None, by=by)
    return True
