"""iCalendar in and out."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from alerts.oncall.calendars import (
    MAX_CHARACTERS,
    MAX_EVENTS,
    CalendarError,
    calendar_spans,
    read_calendar,
    unknown_names,
    write_calendar,
)
from alerts.oncall.shifts import Shift

UTC = ZoneInfo("UTC")
PEOPLE = {"mara": 1, "mara@example.org": 1, "ana": 2, "ana ruiz": 3}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def calendar(*events: str) -> str:
    body = "".join(f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}\r\nEND:VEVENT\r\n" for number, event in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n"


def spans(text: str, zone: ZoneInfo = UTC) -> list[tuple[str, str, int]]:
    found = calendar_spans(text, PEOPLE, zone, 5, at("2026-03-01"), at("2026-04-01"))
    return sorted((f"{one.start:%d %H:%M}", f"{one.end:%d %H:%M}", one.person) for one in found)


def test_an_event_names_somebody_by_an_attendee_or_in_its_title_the_longest_name_first() -> None:
    text = calendar(
        "DTSTART:20260302T090000Z\r\nDTEND:20260303T090000Z\r\nSUMMARY:On call\r\nATTENDEE:mailto:Mara@example.org",
        "DTSTART:20260303T090000Z\r\nDTEND:20260304T090000Z\r\nSUMMARY:Primary: Ana Ruiz",
        "DTSTART:20260304T090000Z\r\nDTEND:20260305T090000Z\r\nSUMMARY:Banana party",
    )
    assert spans(text) == [("02 09:00", "03 09:00", 1), ("03 09:00", "04 09:00", 3)]
    assert unknown_names(text, PEOPLE) == ["Banana party"]


def test_events_repeat_and_whole_days_and_times_without_a_zone_are_of_the_schedule_s() -> None:
    text = calendar(
        "DTSTART:20260202T090000\r\nDTEND:20260209T090000\r\nSUMMARY:mara\r\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4",
        "DTSTART;VALUE=DATE:20260310\r\nDTEND;VALUE=DATE:20260311\r\nSUMMARY:ana",
    )
    assert spans(text, ZoneInfo("Europe/Berlin")) == [
        ("02 08:00", "09 08:00", 1),
        ("09 23:00", "10 23:00", 2),
        ("16 08:00", "23 08:00", 1),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rubbish", "This is no calendar"),
        ("BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n", "must begin with BEGIN:VCALENDAR"),
        (calendar("DTSTART:20260302T090000Z\r\nSUMMARY:mara\r\nRRULE:FREQ=SECONDLY"), "once a day at the most"),
        (calendar("DTSTART:20260302T090000Z\r\nRRULE:FREQ=DAILY;BYSECOND=1,2,3"), "once a day at the most"),
        (calendar(*["DTSTART:20260302T090000Z"] * (MAX_EVENTS + 1)), "may have 500 events, this one has 501"),
        (
            calendar("DTSTART:00010101T090000Z\r\nSUMMARY:mara\r\nRRULE:FREQ=DAILY"),
            "begin in the year 2000 at the earliest",
        ),
        ("x" * (MAX_CHARACTERS + 1), "may have 300,000 characters"),
    ],
)
def test_what_is_no_calendar_or_too_much_is_refused(text: str, said: str) -> None:
    with pytest.raises(CalendarError, match=said):
        read_calendar(text)


def test_what_is_written_is_read_again_to_the_same_shifts() -> None:
    shifts = [
        Shift(at("2026-03-02 09:00"), at("2026-03-09 09:00"), (1,)),
        Shift(at("2026-03-09 09:00"), at("2026-03-10"), ()),
        Shift(at("2026-03-10"), at("2026-03-16 09:00"), (1, 3)),
    ]
    called = {1: ("Mara Lind", "mara@example.org"), 3: ("Ana Ruiz", "")}
    text = write_calendar("support", "https://portal.example/on-call/schedules/1/", shifts, called)
    assert "X-WR-CALNAME:On call: support" in text
    assert spans(text) == [("02 09:00", "09 09:00", 1), ("10 00:00", "16 09:00", 1), ("10 00:00", "16 09:00", 3)]
