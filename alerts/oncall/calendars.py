"""iCalendar in and out: events that name who is on call become spans, and shifts become
a calendar that people subscribe to."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from alerts.oncall.shifts import Shift, Span

MAX_CHARACTERS = 300_000
MAX_EVENTS = 500
# A daily rule is unfolded from its beginning: one of the year 1 to hundreds of thousands of events.
FIRST_YEAR = 2000
# A rule that repeats within a day would unfold to millions.
TOO_OFTEN = {"SECONDLY", "MINUTELY", "HOURLY"}


class CalendarError(ValueError):
    """A calendar that cannot be used; says why."""


def read_calendar(text: str) -> icalendar.Calendar:
    """The calendar, checked. CalendarError says what is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise CalendarError(f"A calendar may have {MAX_CHARACTERS:,} characters.")
    try:
        found = icalendar.Calendar.from_ical(text)
        if not isinstance(found, icalendar.Calendar):
            raise CalendarError("This is no calendar: it must begin with BEGIN:VCALENDAR.")
        events = found.walk("VEVENT")
        # Of time zones too: one that changed every second would be unfolded from its beginning.
        rules = [rule for part in found.walk() for rule in _listed(part.get("RRULE"))]
        years = [event.decoded("DTSTART").year for event in events if event.get("DTSTART") is not None]
        oft = {str(name).upper() for rule in rules for name in _listed(rule.get("FREQ"))}
    except CalendarError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CalendarError(f"This is no calendar: {error}") from None
    if len(events) > MAX_EVENTS:
        raise CalendarError(f"A calendar may have {MAX_EVENTS} events, this one has {len(events)}.")
    if min(years, default=FIRST_YEAR) < FIRST_YEAR:
        raise CalendarError(f"An event may begin in the year {FIRST_YEAR} at the earliest.")
    if oft & TOO_OFTEN or any(rule.get("BYHOUR") or rule.get("BYMINUTE") or rule.get("BYSECOND") for rule in rules):
        raise CalendarError("An event may repeat once a day at the most.")
    return found


def calendar_spans(
    text: str, people: Mapping[str, int], zone: ZoneInfo, layer: int, start: dt.datetime, end: dt.datetime
) -> list[Span]:
    """The spans of the calendar's events. `people` maps what an event may call a person
    by, in lower case, to the account's id."""
    spans = []
    for event in recurring_ical_events.of(read_calendar(text)).between(start, end):
        begin, over = _moment(event.start, zone), _moment(event.end, zone)
        spans += [Span(begin, over, person, layer) for person in _people_of(event, people)]
    return spans


def unknown_names(text: str, people: Mapping[str, int]) -> list[str]:
    """The summaries of events that name nobody who is known here."""
    events = read_calendar(text).walk("VEVENT")
    return sorted({str(event.get("SUMMARY", "")) for event in events if not _people_of(event, people)})


def write_calendar(name: str, address: str, shifts: Iterable[Shift], people: Mapping[int, tuple[str, str]]) -> str:
    """Shifts as a calendar. `people` maps ids to name and mail address; `address` is
    where the schedule is looked at."""
    found = icalendar.Calendar()
    found.add("prodid", "-//LLM usage portal//On call//EN")
    found.add("version", "2.0")
    found.add("x-wr-calname", f"On call: {name}")
    for shift in shifts:
        for person in shift.people:
            called, mail = people.get(person, ("somebody", ""))
            event = icalendar.Event()
            event.add("uid", f"{shift.start:%Y%m%dT%H%M%SZ}-{person}@{_host(address)}")
            event.add("dtstamp", shift.start.astimezone(dt.UTC))
            event.add("dtstart", shift.start.astimezone(dt.UTC))
            event.add("dtend", shift.end.astimezone(dt.UTC))
            event.add("summary", called)
            if mail:
                event.add("attendee", f"mailto:{mail}")
            event.add("url", address)
            found.add_component(event)
    return str(found.to_ical().decode())


def _people_of(event: icalendar.Component, people: Mapping[str, int]) -> list[int]:
    """By the addresses of its attendees, else by what its summary calls them."""
    mails = [str(one).lower().removeprefix("mailto:") for one in _listed(event.get("ATTENDEE"))]
    if found := [people[mail] for mail in mails if mail in people]:
        return found
    summary = str(event.get("SUMMARY", "")).lower()
    # The longest name first: "ana" must not be taken where "ana ruiz" is meant.
    named = sorted((name for name in people if name), key=len, reverse=True)
    return [people[name] for name in named if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", summary)][:1]


def _listed(value: object) -> Sequence[icalendar.vRecur]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]  # type: ignore[list-item]  # one property or several


def _moment(at: dt.date | dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """A time of an event: whole days and times without a zone are of the schedule's."""
    if not isinstance(at, dt.datetime):
        at = dt.datetime.combine(at, dt.time())
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(dt.UTC)


def _host(address: str) -> str:
    return address.split("//")[-1].split("/")[0]
