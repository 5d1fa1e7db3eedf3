"""Writes of schedules: each is checked, and a line of the audit log."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import F, Q, QuerySet

from alerts.oncall.calendars import CalendarError, read_calendar
from alerts.oncall.models import EscalationPolicy, Override, Rotation, Schedule
from core.accounts.models import Workspace
from core.audit.record import record, record_change, snapshot

AUDITED = ("name", "time_zone", "calendar")
MAX_PEOPLE, MAX_ROTATIONS, MAX_OVERRIDES = 50, 20, 500
LONGEST_SHIFT = 366
FIRST_YEAR, LAST_YEAR = 2000, 2200
LONGEST_OVERRIDE = dt.timedelta(days=60)
SIGNER = Signer(salt="on-call calendar")


class ScheduleError(ValueError):
    """Something that a schedule cannot have; `field` says where, empty for the whole of it."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.errors = {field or "non_field_errors": text}


def eligible(workspace: Workspace | None) -> QuerySet[User]:
    """Who can be on call for the workspace (None: the whole portal): active accounts, of a
    workspace its members and administrators."""
    found = User.objects.filter(is_active=True).order_by("username")
    return found.filter(Q(is_superuser=True) | Q(memberships__workspace=workspace)).distinct() if workspace else found


def save_schedule(schedule: Schedule, *, name: str, time_zone: str, calendar: str) -> Schedule:
    """Make or change it. ScheduleError says what is wrong."""
    name = name.strip()
    if not name:
        raise ScheduleError("is missing", "name")
    same = Schedule.objects.filter(name=name, workspace=schedule.workspace_id).exclude(pk=schedule.pk)
    if same.exists():
        raise ScheduleError("is taken", "name")
    if time_zone not in zoneinfo.available_timezones():
        raise ScheduleError("is no time zone: write one such as Europe/Berlin", "time_zone")
    if calendar.strip():
        try:
            read_calendar(calendar)
        except CalendarError as error:
            raise ScheduleError(str(error), "calendar") from None
    before = snapshot(Schedule.objects.get(pk=schedule.pk), AUDITED) if schedule.pk else None
    schedule.name, schedule.time_zone, schedule.calendar = name, time_zone, calendar.strip()
    with transaction.atomic():
        schedule.save()
        if before is None:
            record("created", schedule, after=snapshot(schedule, AUDITED))
        else:
            record_change(schedule, before, snapshot(schedule, AUDITED))
    return schedule


def delete_schedule(schedule: Schedule) -> None:
    """Remove it. ScheduleError where a policy needs it."""
    target = f"schedule:{schedule.pk}"
    using = [
        policy.name
        for policy in EscalationPolicy.objects.all()
        if any(target in step["targets"] for step in policy.steps)
    ]
    if using:
        raise ScheduleError(f"{schedule.name} is in the escalation policy {', '.join(using)}: take it out there first.")
    with transaction.atomic():
        record("deleted", schedule, before=snapshot(schedule, AUDITED))
        schedule.delete()


def add_rotation(
    schedule: Schedule,
    people: Sequence[User],
    *,
    first_day: dt.date,
    handover: dt.time,
    shift_days: int = 7,
    weekdays: Sequence[int] = (),
    begins: dt.time | None = None,
    ends: dt.time | None = None,
) -> Rotation:
    """A rotation that comes before those that there are. ScheduleError says what is wrong."""
    if not 0 < len(people) <= MAX_PEOPLE:
        raise ScheduleError(f"name 1 to {MAX_PEOPLE} people", "people")
    if not 0 < shift_days <= LONGEST_SHIFT:
        raise ScheduleError(f"must be 1 to {LONGEST_SHIFT} days", "shift_days")
    if not FIRST_YEAR <= first_day.year <= LAST_YEAR:
        raise ScheduleError(f"must be in {FIRST_YEAR} to {LAST_YEAR}", "first_day")
    if not set(weekdays) <= set(range(7)):
        raise ScheduleError("must be among 0 (Monday) to 6", "weekdays")
    if begins is not None and begins == ends:
        raise ScheduleError("must differ from the begin", "ends")
    with transaction.atomic():
        Schedule.objects.select_for_update().get(pk=schedule.pk)
        last = schedule.rotations.order_by("-position").first()
        if schedule.rotations.count() >= MAX_ROTATIONS:
            raise ScheduleError(f"A schedule may have {MAX_ROTATIONS} rotations.")
        rotation = schedule.rotations.create(
            position=last.position + 1 if last else 0,
            people=[person.pk for person in people],
            first_day=first_day,
            handover=handover,
            shift_days=shift_days,
            weekdays=sorted(set(weekdays)),
            begins=begins,
            ends=ends,
        )
        names = [person.get_username() for person in people]
        record("added a rotation to", schedule, after={"people": names, "first_day": first_day, "handover": handover})
    return rotation


def set_rotations(schedule: Schedule, rotations: Sequence[Rotation]) -> None:
    """Have these, in their order, instead of those that there are. ScheduleError says what is wrong."""
    with transaction.atomic():
        for old in schedule.rotations.all():
            remove_rotation(old)
        for new in rotations:
            people = User.objects.in_bulk(new.people)
            add_rotation(
                schedule,
                [people[pk] for pk in new.people],
                first_day=new.first_day,
                handover=new.handover,
                shift_days=new.shift_days,
                weekdays=new.weekdays,
                begins=new.begins,
                ends=new.ends,
            )


def remove_rotation(rotation: Rotation) -> None:
    """Take it out."""
    with transaction.atomic():
        record("removed a rotation from", rotation.schedule, before={"people": rotation.people})
        rotation.delete()


def add_override(schedule: Schedule, person: User, starts_at: dt.datetime, ends_at: dt.datetime) -> Override:
    """Put somebody on call for a while. ScheduleError says what is wrong."""
    if not FIRST_YEAR <= starts_at.year <= LAST_YEAR:
        raise ScheduleError(f"must be in {FIRST_YEAR} to {LAST_YEAR}", "starts_at")
    if not dt.timedelta() < ends_at - starts_at <= LONGEST_OVERRIDE:
        raise ScheduleError(f"must be after the start, by {LONGEST_OVERRIDE.days} days at most", "ends_at")
    with transaction.atomic():
        Schedule.objects.select_for_update().get(pk=schedule.pk)
        if schedule.overrides.filter(ends_at__gt=starts_at).count() >= MAX_OVERRIDES:
            raise ScheduleError(f"A schedule may have {MAX_OVERRIDES} overrides.")
        override = schedule.overrides.create(person=person, starts_at=starts_at, ends_at=ends_at)
        after = {"person": person.get_username(), "starts_at": starts_at, "ends_at": ends_at}
        record("overrode", schedule, after=after)
    return override


def remove_override(override: Override) -> None:
    """Take it back."""
    with transaction.atomic():
        record("removed an override from", override.schedule, before={"person": override.person.get_username()})
        override.delete()


def feed_token(schedule: Schedule) -> str:
    """What the address of its calendar ends in: whoever knows it reads the shifts
    without logging in, until it is renewed."""
    return SIGNER.sign(f"{schedule.pk}-{schedule.feed_number}")


def schedule_of_feed(token: str) -> Schedule | None:
    """The schedule whose calendar has this address now."""
    try:
        pk, _, number = SIGNER.unsign(token).partition("-")
    except BadSignature:
        return None
    return Schedule.objects.filter(pk=int(pk), feed_number=int(number)).first()


def renew_feed(schedule: Schedule) -> None:
    """Give its calendar another address; the old one ends."""
    with transaction.atomic():
        Schedule.objects.filter(pk=schedule.pk).update(feed_number=F("feed_number") + 1)
        record("renewed the calendar's address of", schedule)
