"""Silences that recur. Each window is a silence like any other, so that Alertmanager's API, amtool and all pages show
it; the next one is there, pending, before the last one ends. Who ends one before it begins skips that one."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Collection
from itertools import islice

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q

from alerts.incidents.access import visible_silences
from alerts.incidents.collect import look_for
from alerts.incidents.models import Silence
from alerts.incidents.silences import SilenceError, check_matchers, expire_silence
from alerts.routing.matchers import Matcher, Matchers
from alerts.silencing.models import RecurringSilence
from alerts.silencing.weekly import DAY, Weekly
from core.accounts.holder import Actor, user_of
from core.audit.record import record, snapshot

MAX_RECURRING = 200
PREVIEWED = 5
AUDITED = ("matchers", "weekdays", "begins", "ends", "time_zone", "last_day", "comment")


def weekly_of(recurring: RecurringSilence) -> Weekly:
    """When it holds."""
    zone = zoneinfo.ZoneInfo(recurring.time_zone)
    return Weekly(frozenset(recurring.weekdays), recurring.begins, recurring.ends, zone, recurring.last_day)


def make_weekly(
    weekdays: Collection[int], begins: dt.time, ends: dt.time, time_zone: str, last_day: dt.date | None = None
) -> Weekly:
    """The windows, checked. SilenceError says what is wrong."""
    if time_zone not in zoneinfo.available_timezones():
        raise SilenceError("there is no such time zone: write one such as Europe/Berlin")
    if not weekdays or not set(weekdays) <= set(range(7)):
        raise SilenceError("choose at least one day of the week")
    return Weekly(frozenset(weekdays), begins, ends, zoneinfo.ZoneInfo(time_zone), last_day)


def next_windows(weekly: Weekly, now: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """The first ones that are not over, to show."""
    return list(islice(weekly.windows(now), PREVIEWED))


def add_recurring(matchers: Matchers, weekly: Weekly, *, comment: str, by: Actor, now: dt.datetime) -> RecurringSilence:
    """Silence what matches, every week. SilenceError says what is wrong."""
    check_matchers(matchers)
    if not next_windows(weekly, now):
        raise SilenceError("its last day is over before it begins")
    if RecurringSilence.objects.count() >= MAX_RECURRING:
        raise SilenceError(f"there are {MAX_RECURRING} recurring silences already")
    with transaction.atomic():
        made = RecurringSilence.objects.create(
            matchers=[[matcher.name, matcher.op, matcher.value] for matcher in matchers],
            weekdays=sorted(weekly.weekdays),
            begins=weekly.begins,
            ends=weekly.ends,
            time_zone=weekly.zone.key,
            last_day=weekly.last_day,
            comment=comment,
            created_by=by.get_username(),
            author=user_of(by),
            created_at=now,
        )
        record("created", made, after=_audited(made), by=by)
        _make_silences(made, None, now)
    return made


def remove_recurring(recurring: RecurringSilence, *, by: Actor, now: dt.datetime) -> None:
    """End it for good, also the one of now; those of the past stay."""
    with transaction.atomic():
        for silence in Silence.objects.filter(recurring=recurring, ends_at__gt=now):
            expire_silence(silence, now)
        record("deleted", recurring, before=_audited(recurring), by=by)
        recurring.delete()


def make_due_silences(now: dt.datetime) -> None:
    """Make the next silence of every recurring one that has none to come."""
    coming = Silence.objects.filter(recurring=OuterRef("pk"), starts_at__gt=now)
    going_on = RecurringSilence.objects.filter(Q(last_day=None) | Q(last_day__gte=now.date() - DAY), ~Exists(coming))
    for recurring in going_on.annotate(newest=Max("silences__occurs_at")):
        with transaction.atomic():
            # One that is removed meanwhile makes none.
            if RecurringSilence.objects.select_for_update().filter(pk=recurring.pk).exists():
                _make_silences(recurring, recurring.newest, now)


def matchers_of(recurring: RecurringSilence) -> Matchers:
    """What it silences."""
    return tuple(Matcher(*entry) for entry in recurring.matchers)


def visible_recurring(workspaces: Collection[str] | None) -> list[RecurringSilence]:
    """Those that a reader of these workspaces (None: all) may see."""
    return visible_silences(RecurringSilence.objects.order_by("pk")[:MAX_RECURRING], workspaces)


def _make_silences(recurring: RecurringSilence, newest: dt.datetime | None, now: dt.datetime) -> None:
    """The silence of now, if it is time, and the next one; none that was made before."""
    for start, end in weekly_of(recurring).windows(now):
        if newest is None or start > newest:
            silence = Silence(
                matchers=recurring.matchers,
                starts_at=max(start, now),
                ends_at=end,
                created_by=recurring.created_by,
                comment=recurring.comment,
                created_at=now,
                recurring=recurring,
                occurs_at=start,
            )
            # Another worker may make the same one.
            Silence.objects.bulk_create([silence], ignore_conflicts=True)
            look_for(matchers_of(recurring), silence.starts_at)
        if start > now and (newest is None or start > newest):
            return


def _audited(recurring: RecurringSilence) -> dict[str, object]:
    return {name: str(value) for name, value in snapshot(recurring, AUDITED).items()}
