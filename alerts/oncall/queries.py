"""Who is on call now and next, as pages, messages and the escalation read it. Row counts
never change the number of queries."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet

from alerts.incidents.models import Incident
from alerts.models import Channel
from alerts.oncall.calendars import calendar_spans
from alerts.oncall.models import Escalation, EscalationPolicy, Override, Rotation, Schedule
from alerts.oncall.shifts import Shift, Span, Turns, resolve, turns_spans
from core.accounts.ownership import owned

logger = logging.getLogger(__name__)
LOOK_AHEAD = dt.timedelta(days=62)
# Layers: rotations count from 0.
CALENDAR, OVERRIDES = 1_000, 1_001


@dataclass(frozen=True)
class Duty:
    """A schedule with who is on call: `people` now, until `until` (None: for as long as
    was looked ahead), then `following`."""

    schedule: Schedule
    people: list[User]
    until: dt.datetime | None
    following: list[User]

    @property
    def names(self) -> str:
        """Who is on call now."""
        return ", ".join(name_of(person) for person in self.people) or "nobody"

    @property
    def following_names(self) -> str:
        """Who comes then; empty where that is not known."""
        return ", ".join(name_of(person) for person in self.following)


def name_of(person: User) -> str:
    """How pages and messages call somebody."""
    return person.get_full_name() or person.get_username()


def accounts() -> dict[int, User]:
    """Everybody who can be on call: active accounts."""
    return User.objects.filter(is_active=True).in_bulk()


def accounts_of(schedules: Iterable[Schedule], others: Collection[int]) -> dict[int, User]:
    """Those of the active accounts that the schedules (ready for `shifts_of`) may have on call, and these others;
    a calendar may name anybody."""
    wanted = set(others)
    for schedule in schedules:
        if schedule.calendar:
            return accounts()
        wanted.update(pk for rotation in schedule.rotations.all() for pk in rotation.people)
        wanted.update(override.person_id for override in schedule.overrides.all())
    return User.objects.filter(is_active=True).in_bulk(wanted)


def called(people: Iterable[User]) -> dict[str, int]:
    """What a calendar may call them by, in lower case, with their ids; a name that two share calls neither."""
    found: dict[str, int | None] = {}
    for person in people:
        for name in {person.get_username().lower(), person.email.lower(), person.get_full_name().lower()} - {""}:
            found[name] = None if name in found else person.pk
    return {name: pk for name, pk in found.items() if pk is not None}


def schedules_of(workspaces: Collection[str] | None) -> list[Schedule]:
    """Those that a reader of these workspaces may see, ready for `shifts_of`."""
    return list(_ready(Schedule.objects.filter(owned(workspaces)).select_related("workspace")))


def _ready(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    return schedules.prefetch_related(
        Prefetch("rotations", Rotation.objects.order_by("position", "id")),
        Prefetch("overrides", Override.objects.select_related("person").order_by("starts_at", "id")),
    )


def schedules_by_id(ids: Collection[int]) -> dict[int, Schedule]:
    """These schedules, ready for `shifts_of`."""
    return {schedule.pk: schedule for schedule in _ready(Schedule.objects.filter(pk__in=ids))}


def shifts_of(schedule: Schedule, people: dict[int, User], start: dt.datetime, end: dt.datetime) -> list[Shift]:
    """The schedule's shifts from `start` to `end`; who has no active account any more (`people`) is not on call."""
    zone = ZoneInfo(schedule.time_zone)
    spans = []
    for layer, rotation in enumerate(schedule.rotations.all()):
        present = [pk for pk in rotation.people if pk in people]
        turns = Turns(
            present,
            rotation.first_day,
            rotation.handover,
            rotation.shift_days,
            zone,
            rotation.weekdays,
            rotation.begins,
            rotation.ends,
        )
        spans += list(turns_spans(turns, layer, start, end))
    if schedule.calendar:
        try:
            spans += calendar_spans(schedule.calendar, called(people.values()), zone, CALENDAR, start, end)
        except Exception:
            # A library unfolds what others wrote; where it fails, rotations and overrides still hold.
            logger.exception("schedule %s: its calendar cannot be read", schedule.pk)
    spans += [
        # Of two overrides of one time the one that was made last counts.
        Span(override.starts_at, override.ends_at, override.person_id, OVERRIDES + override.pk)
        for override in schedule.overrides.all()
        if override.person_id in people
    ]
    return resolve(spans, start, end)


def duty(schedule: Schedule, people: dict[int, User], now: dt.datetime) -> Duty:
    """Who is on call now and next."""
    shifts = shifts_of(schedule, people, now, now + LOOK_AHEAD)
    after = shifts[1] if len(shifts) > 1 else None
    return Duty(
        schedule,
        [people[pk] for pk in shifts[0].people],
        after.start if after else None,
        [people[pk] for pk in after.people] if after else [],
    )


def duties(workspaces: Collection[str] | None, now: dt.datetime) -> list[Duty]:
    """Who is on call, for each schedule that a reader of these workspaces may see."""
    found = schedules_of(workspaces)
    people = accounts_of(found, ())
    return [duty(schedule, people, now) for schedule in found]


def policies_of(workspaces: Collection[str] | None) -> list[EscalationPolicy]:
    """The policies that a reader of these workspaces may see."""
    return list(EscalationPolicy.objects.filter(owned(workspaces)).select_related("workspace"))


def names_of_targets(targets: Iterable[str]) -> dict[str, str]:
    """What these targets of steps are called: `schedule:1`, `person:2`, `channel:3`."""
    ids: dict[str, list[int]] = {}
    for target in targets:
        kind, _, pk = target.partition(":")
        ids.setdefault(kind, []).append(int(pk))
    schedules = Schedule.objects.filter(pk__in=ids.get("schedule", [])).values_list("pk", "name")
    people = User.objects.filter(pk__in=ids.get("person", []), is_active=True)
    channels = Channel.objects.filter(pk__in=ids.get("channel", [])).values_list("pk", "name")
    named = {f"schedule:{pk}": name for pk, name in schedules} | {f"channel:{pk}": name for pk, name in channels}
    return named | {f"person:{one.pk}": name_of(one) for one in people}


def called_targets(targets: Sequence[str], names: dict[str, str]) -> list[str]:
    """Targets as people read them; `names` is of `names_of_targets`."""
    return [names.get(target, "somebody who is gone") for target in targets]


@dataclass(frozen=True)
class StepRow:
    """A step of an incident's escalation: `taken_at` when it was taken last, `reached` nobody
    or somebody then; else when it is due."""

    number: int
    names: str
    delay_seconds: int
    taken_at: dt.datetime | None
    reached: bool
    due_at: dt.datetime | None


@dataclass(frozen=True)
class EscalationRow:
    """A policy that an incident goes through; `next_at` is when its next step is due, None when none is."""

    name: str
    steps: list[StepRow]
    next_at: dt.datetime | None


def escalation_rows(incident: Incident) -> list[EscalationRow]:
    """How far the incident has come in each of its policies."""
    found = list(Escalation.objects.filter(incident=incident).order_by("id"))
    names = names_of_targets(one for escalation in found for step in escalation.steps for one in step["targets"])
    rows = []
    for escalation in found:
        taken = {entry["step"]: entry for entry in escalation.taken}
        steps = []
        for number, step in enumerate(escalation.steps):
            last = taken.get(number)
            whom = last["names"] if last else called_targets(step["targets"], names)
            steps.append(
                StepRow(
                    number=number + 1,
                    names=", ".join(whom),
                    delay_seconds=step["delay_seconds"],
                    taken_at=dt.datetime.fromisoformat(last["at"]) if last else None,
                    reached=bool(last and last["reached"]),
                    due_at=escalation.next_at if number == escalation.step else None,
                )
            )
        rows.append(EscalationRow(escalation.policy_name, steps, escalation.next_at))
    return rows
