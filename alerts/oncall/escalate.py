"""10 notify, escalated: the steps of a policy, one after the other, until somebody acknowledges.

A step is taken under the lock of its incident, which acknowledging needs too: what is acknowledged first
takes no step, and what a step queued before is not sent (`alerts.notify.deliveries`). Two workers never take
one step twice: `next_at` moves with it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Min, QuerySet

from alerts.incidents.flush import Group, set_flips
from alerts.incidents.lost_slots import waiting_for_rules
from alerts.incidents.models import Incident, IncidentEvent, Member
from alerts.models import Alert, Channel, Delivery, State
from alerts.notify.wake import wake_channels
from alerts.oncall.means import mail_of, means_of
from alerts.oncall.models import Escalation, EscalationPolicy
from alerts.oncall.queries import accounts_of, called_targets, duty, name_of, names_of_targets, schedules_by_id
from alerts.rules.models import gravity

log = logging.getLogger(__name__)
BATCH = 200
# How soon is looked again at an incident whose alerts are muted, or have ended without its being closed.
LOOK_AGAIN = dt.timedelta(seconds=30)
PORTAL = "portal"
Kind = IncidentEvent.Kind


def start_escalations(groups: Iterable[Group], now: dt.datetime) -> None:
    """Begin the policies of incidents that have something to notify of. Call it in the
    transaction that holds their locks."""
    wanted = {
        group.incident: ids
        for group in groups
        if group.fires and group.incident.acknowledged_at is None and (ids := group.escalations)
    }
    if not wanted:
        return
    policies = EscalationPolicy.objects.in_bulk({pk for ids in wanted.values() for pk in ids})
    Escalation.objects.bulk_create(
        [
            Escalation(
                incident=incident,
                policy=policies[pk],
                policy_name=policies[pk].name,
                steps=policies[pk].steps,
                repeats=policies[pk].repeats,
                repeat_seconds=policies[pk].repeat_seconds,
                acknowledged_for_seconds=policies[pk].acknowledged_for_seconds,
                started_at=now,
                next_at=now + dt.timedelta(seconds=policies[pk].steps[0]["delay_seconds"]),
            )
            for incident, ids in wanted.items()
            for pk in ids
            if pk in policies
        ],
        ignore_conflicts=True,
    )


def lapsed(now: dt.datetime) -> QuerySet[Incident]:
    """Incidents that were acknowledged for long enough."""
    return Incident.objects.filter(closed_at=None, acknowledged_until__lte=now)


def to_escalate(now: dt.datetime) -> QuerySet[Escalation]:
    """Escalations whose next step is due."""
    return Escalation.objects.filter(next_at__lte=now)


def escalate_due(now: dt.datetime) -> int:
    """Give back what was acknowledged for long enough, then take the steps that are due; how many. One that fails is
    tried again soon, and holds up no other."""
    for incident_id in list(lapsed(now).values_list("pk", flat=True).order_by("pk")[:BATCH]):
        lapse(incident_id, now)
    due = to_escalate(now).order_by("next_at", "id")
    rows = list(due.values_list("pk", "incident_id", "next_at")[:BATCH])
    waiting = waiting_for_rules({incident_id: next_at for _, incident_id, next_at in rows}, now)
    return sum(_escalate_or_look_again(pk, one, now) for pk, one, _ in rows if one not in waiting)


def _escalate_or_look_again(escalation_id: int, incident_id: int, now: dt.datetime) -> bool:
    try:
        return escalate(escalation_id, incident_id, now)
    except (OperationalError, InterfaceError):
        raise  # Postgres is away: nothing can be written down either
    except Exception:
        log.exception("a step of escalation %s failed", escalation_id)
        Escalation.objects.filter(pk=escalation_id).update(next_at=now + LOOK_AGAIN)
        return False


def lapse(incident_id: int, now: dt.datetime) -> None:
    """End an acknowledgement whose time is over: what still fires escalates again."""
    with transaction.atomic():
        open_ones = Incident.objects.filter(pk=incident_id, closed_at=None, acknowledged_until__lte=now)
        fields = {"acknowledged_by": None, "acknowledged_at": None, "acknowledged_until": None, "news_at": now}
        if open_ones.update(**fields, flush_at=now):
            Escalation.objects.filter(incident=incident_id).update(next_at=now, step=0, round=0)
            # What steps had queued before it was acknowledged is said anew by their being taken again.
            queued = Delivery.objects.filter(incident=incident_id, why=Delivery.Why.ESCALATED)
            queued.filter(state=Delivery.State.PENDING).update(state=Delivery.State.SKIPPED, finished_at=now)
            text = "it still fires, and nobody has said so again"
            IncidentEvent.objects.create(
                incident_id=incident_id, kind=Kind.LAPSED, at=now, text=text, author_name=PORTAL
            )


def escalate(escalation_id: int, incident_id: int, now: dt.datetime) -> bool:
    """Take the steps that are still due; whether somebody was notified."""
    with transaction.atomic():
        incident = Incident.objects.select_for_update(of=("self",)).filter(pk=incident_id).first()
        escalation = Escalation.objects.filter(pk=escalation_id, next_at__lte=now).first()
        if incident is None or escalation is None:
            return False
        wait = _wait(incident, now)
        if wait is not None:
            escalation.next_at = wait
        elif incident.closed_at is not None or incident.acknowledged_at is not None:
            escalation.next_at = None
        else:
            reached = False
            while escalation.next_at is not None and escalation.next_at <= now:
                reached = _take_step(escalation, incident, now) or reached
            escalation.save(update_fields=["step", "round", "next_at", "taken"])
            return reached
        escalation.save(update_fields=["next_at"])
    return False


def resume(incident: Incident, now: dt.datetime) -> None:
    """Go on with the step that acknowledging held back."""
    Escalation.objects.filter(incident=incident, next_at=None, step__lt=1_000).update(next_at=now)


def restart(incident: Incident, now: dt.datetime) -> None:
    """Begin all steps anew, unless somebody has it."""
    open_one = Escalation.objects.filter(incident=incident, incident__acknowledged_at=None)
    open_one.update(next_at=now, step=0, round=0)


def acknowledged_until(incident: Incident, now: dt.datetime) -> dt.datetime | None:
    """When an acknowledgement of now lapses; None: never."""
    lasting = Escalation.objects.filter(incident=incident, acknowledged_for_seconds__gt=0)
    seconds = lasting.aggregate(shortest=Min("acknowledged_for_seconds"))["shortest"]
    return now + dt.timedelta(seconds=seconds) if seconds else None


def _wait(incident: Incident, now: dt.datetime) -> dt.datetime | None:
    """Until when no step may be taken: while it is snoozed, or everything that fires is muted."""
    if incident.closed_at is not None or incident.acknowledged_at is not None:
        return None
    if incident.is_snoozed(now):
        return incident.snoozed_until
    firing = Member.objects.filter(incident=incident, done=False, alert__state=State.FIRING)
    return None if firing.filter(muted_by="").exists() else now + LOOK_AGAIN


def _take_step(escalation: Escalation, incident: Incident, now: dt.datetime) -> bool:
    """Notify the step's targets and move on; a step that reaches nobody is followed by the next one at once."""
    members = Member.objects.filter(incident=incident, done=False, muted_by="", alert__state=State.FIRING)
    alerts = list(Alert.objects.filter(pk__in=members.values("alert")).order_by("fired_at", "id"))
    severity = min(
        [*filter(None, [incident.raised_to]), *(alert.labels.get("severity", "") for alert in alerts)],
        key=gravity,
    )
    number = escalation.step
    step = escalation.steps[number]
    reached: dict[int, tuple[Channel, str]] = {}
    names: list[str] = []
    if not step["severities"] or severity in step["severities"]:
        reached, names = _targets(step["targets"], severity, now)
        where = f"step {number + 1} of {escalation.policy_name}"
        _deliver(incident, alerts, reached, f"This is {where}{_since(escalation, now)}.", now)
        if reached:  # else whoever was notified before is still to hear of the end
            Member.objects.filter(pk__in=list(members.values_list("pk", flat=True))).update(notified=True)
        text = f"{where}: {', '.join(names) or 'nobody'}"
        IncidentEvent.objects.create(
            incident=incident, kind=Kind.ESCALATED, at=now, text=text[:2000], author_name=PORTAL
        )
        escalation.taken.append(
            {"round": escalation.round, "step": number, "at": now.isoformat(), "names": names, "reached": len(reached)}
        )
    _move_on(escalation, now, at_once=not reached)
    return bool(reached)


def _since(escalation: Escalation, now: dt.datetime) -> str:
    """For how long nobody has acknowledged; nothing for the first step."""
    if not escalation.taken:
        return ""
    minutes = round((now - escalation.started_at).total_seconds() / 60)
    return f", as nobody has acknowledged for {minutes} min" if minutes else ", as nobody was reached"


def _move_on(escalation: Escalation, now: dt.datetime, *, at_once: bool) -> None:
    """To the next step, or to the first one again while there are repeats; then it is over."""
    escalation.step += 1
    if escalation.step < len(escalation.steps):
        delay = 0 if at_once else escalation.steps[escalation.step]["delay_seconds"]
        escalation.next_at = now + dt.timedelta(seconds=delay)
    elif escalation.round < escalation.repeats:
        escalation.step, escalation.round = 0, escalation.round + 1
        escalation.next_at = now + dt.timedelta(seconds=escalation.repeat_seconds)
    else:
        escalation.step, escalation.next_at = 1_000, None


def _targets(
    targets: Sequence[str], severity: str, now: dt.datetime
) -> tuple[dict[int, tuple[Channel, str]], list[str]]:
    """The channels that targets come to, by id, each with why it is used; and what the targets are called."""
    split = [target.split(":", 1) for target in targets]
    ids = {kind: [int(pk) for one, pk in split if one == kind] for kind in ("schedule", "person", "channel")}
    schedules = schedules_by_id(ids["schedule"])
    people = accounts_of(schedules.values(), ids["person"])
    wanted: dict[int, str] = dict.fromkeys(ids["person"], "")
    names = []
    for schedule in schedules.values():
        on_duty = duty(schedule, people, now).people
        for person in on_duty:
            wanted[person.pk] = f"You are on call for {schedule.name}. "
        names.append(f"{', '.join(map(name_of, on_duty)) or 'nobody'} (on call for {schedule.name})")
    others = [target for target in targets if not target.startswith("schedule:")]
    names += called_targets(others, names_of_targets(others))
    reached: dict[int, tuple[Channel, str]] = {}
    means = means_of(wanted)
    for pk, why in wanted.items():
        for channel in means.get(pk) or _by_mail(people.get(pk)):
            if channel.takes(severity):
                reached[channel.pk] = (channel, why)
    for channel in Channel.objects.filter(pk__in=ids["channel"], enabled=True):
        reached.setdefault(channel.pk, (channel, ""))
    return reached, names


def _by_mail(person: User | None) -> list[Channel]:
    found = mail_of(person) if person is not None else None
    return [found] if found is not None else []


def _deliver(
    incident: Incident,
    alerts: Sequence[Alert],
    reached: dict[int, tuple[Channel, str]],
    note: str,
    now: dt.datetime,
) -> None:
    """A message to each channel about everything that fires."""
    if not reached:
        return
    incident.notifications += 1
    incident.save(update_fields=["notifications"])
    deliveries = [
        Delivery(
            incident=incident,
            number=incident.notifications,
            firing=[alert.pk for alert in alerts],
            resolved=[],
            why=Delivery.Why.ESCALATED,
            note=f"{why}{note}",
            alert=alerts[0],
            channel=channel,
            channel_name=channel.listed_name,
            created_at=now,
            next_attempt_at=now + dt.timedelta(seconds=channel.delay_seconds),
        )
        for channel, why in reached.values()
    ]
    set_flips(deliveries)
    Delivery.objects.bulk_create(deliveries)
    ids = sorted(reached)
    transaction.on_commit(lambda: wake_channels(ids), robust=True)
