"""Windows of every week, on the clocks of a time zone."""

import datetime as dt
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from alerts.silencing.weekly import Weekly

BERLIN = ZoneInfo("Europe/Berlin")


def weekly(days: str, begins: str, ends: str, last_day: dt.date | None = None) -> Weekly:
    times = (dt.time.fromisoformat(one) for one in (begins, ends))
    return Weekly(frozenset(map(int, days)), *times, BERLIN, last_day)  # type: ignore[misc]


def windows(found: Weekly, after: str, count: int = 3) -> list[str]:
    start = dt.datetime.fromisoformat(after).replace(tzinfo=dt.UTC)
    return [f"{one:%a %d %H:%M} {other:%d %H:%M}" for one, other in islice(found.windows(start), count)]


def test_a_window_is_on_its_days_and_keeps_its_hours_when_clocks_change() -> None:
    found = windows(weekly("56", "02:30", "04:00"), "2026-03-27T00:00", 4)
    # On Sunday 29 clocks go from 02:00 to 03:00: 02:30 is what was 02:30 before, 03:30 now.
    assert found == ["Sat 28 01:30 28 03:00", "Sun 29 01:30 29 02:00", "Sat 04 00:30 04 02:00", "Sun 05 00:30 05 02:00"]


def test_a_window_over_midnight_ends_on_the_next_day_and_holds_until_then() -> None:
    found = weekly("0", "23:00", "01:30")
    assert windows(found, "2026-03-02T23:59", 2) == ["Mon 02 22:00 03 00:30", "Mon 09 22:00 10 00:30"]
    assert windows(found, "2026-03-03T00:30", 1) == ["Mon 09 22:00 10 00:30"]


def test_equal_times_are_a_whole_day() -> None:
    assert windows(weekly("0", "00:00", "00:00"), "2026-03-02T12:00", 1) == ["Sun 01 23:00 02 23:00"]


def test_the_last_one_begins_on_the_last_day() -> None:
    found = weekly("0123456", "02:00", "03:00", dt.date(2026, 3, 3))
    assert windows(found, "2026-03-02T00:00", 9) == ["Mon 02 01:00 02 02:00", "Tue 03 01:00 03 02:00"]
    assert windows(found, "2026-03-04T00:00") == []


def test_a_window_of_which_changed_clocks_leave_nothing_is_none() -> None:
    # From 02:00 to 03:00 the clocks of that Sunday show nothing.
    assert windows(weekly("6", "02:00", "03:00"), "2026-03-28T12:00", 1) == ["Sun 05 00:00 05 01:00"]


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ("01234", "Mon to Fri 02:00 to 03:30 Europe/Berlin"),
        ("0123456", "every day 02:00 to 03:30 Europe/Berlin"),
        ("15", "Tue, Sat 02:00 to 03:30 Europe/Berlin"),
    ],
)
def test_its_summary_is_how_people_say_it(days: str, text: str) -> None:
    assert weekly(days, "02:00", "03:30").summary == text
