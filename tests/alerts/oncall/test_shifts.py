"""Who is on call when: turns, hours, clocks that change, layers."""

import datetime as dt
from zoneinfo import ZoneInfo

from alerts.oncall.shifts import Shift, Span, Turns, resolve, turns_spans

BERLIN = ZoneInfo("Europe/Berlin")
NINE = dt.time(9)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def shifts(turns: Turns, start: str, end: str) -> list[tuple[str, tuple[int, ...]]]:
    found = resolve(turns_spans(turns, 0, at(start), at(end)), at(start), at(end))
    return [(f"{shift.start:%m-%d %H:%M}", shift.people) for shift in found]


def test_people_take_turns_by_weeks_and_the_handover_keeps_its_hour_when_clocks_change() -> None:
    turns = Turns([1, 2, 3], dt.date(2026, 3, 16), NINE, 7, BERLIN)
    # On 29 March the clocks of Berlin go from UTC+1 to UTC+2.
    assert shifts(turns, "2026-03-20", "2026-04-10") == [
        ("03-20 00:00", (1,)),
        ("03-23 08:00", (2,)),
        ("03-30 07:00", (3,)),
        ("04-06 07:00", (1,)),
    ]


def test_before_the_first_day_nobody_is_on_call() -> None:
    turns = Turns([1], dt.date(2026, 3, 16), NINE, 7, ZoneInfo("UTC"))
    assert shifts(turns, "2026-03-10", "2026-03-17") == [("03-10 00:00", ()), ("03-16 09:00", (1,))]


def test_a_rotation_may_hold_on_some_days_and_hours_also_over_midnight() -> None:
    office = Turns([1, 2], dt.date(2026, 3, 16), dt.time(), 1, ZoneInfo("UTC"), [0, 1], NINE, dt.time(17))
    assert shifts(office, "2026-03-16", "2026-03-19") == [
        ("03-16 00:00", ()),
        ("03-16 09:00", (1,)),
        ("03-16 17:00", ()),
        ("03-17 09:00", (2,)),
        ("03-17 17:00", ()),
    ]
    night = Turns([1, 2], dt.date(2026, 3, 16), dt.time(12), 1, ZoneInfo("UTC"), [0, 1, 2], dt.time(22), dt.time(6))
    assert shifts(night, "2026-03-16", "2026-03-18 00:00") == [
        ("03-16 00:00", ()),
        ("03-16 22:00", (1,)),
        ("03-17 06:00", ()),
        ("03-17 22:00", (2,)),
    ]


def test_the_highest_layer_counts_and_two_of_one_layer_are_on_call_together() -> None:
    def span(start: str, end: str, person: int, layer: int) -> Span:
        return Span(at(start), at(end), person, layer)

    spans = [
        span("2026-01-01", "2026-01-09", 1, 0),
        span("2026-01-03", "2026-01-05", 2, 1),
        span("2026-01-04", "2026-01-06", 3, 1),
        span("2026-01-08", "2026-01-08", 4, 9),
    ]
    assert resolve(spans, at("2026-01-02"), at("2026-01-10")) == [
        Shift(at("2026-01-02"), at("2026-01-03"), (1,)),
        Shift(at("2026-01-03"), at("2026-01-04"), (2,)),
        Shift(at("2026-01-04"), at("2026-01-05"), (2, 3)),
        Shift(at("2026-01-05"), at("2026-01-06"), (3,)),
        Shift(at("2026-01-06"), at("2026-01-09"), (1,)),
        Shift(at("2026-01-09"), at("2026-01-10"), ()),
    ]
