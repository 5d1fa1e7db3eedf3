"""Alertmanager's time intervals: when a route is muted or active. Source: prometheus/alertmanager `timeinterval`."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
MONTHS = [name.lower() for name in calendar.month_name]
CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9]))|(24):(00)")
FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
Range = tuple[int, int]


@dataclass(frozen=True)
class TimeInterval:
    """Every field that is not empty must contain the time. `times` are minutes of the day, their end exclusive; all
    else is inclusive."""

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = ""

    def contains(self, at: dt.datetime) -> bool:
        """Whether the (aware) time is in it, in its location, else in UTC."""
        local = at.astimezone(ZoneInfo(self.location) if self.location else dt.UTC)
        minute = local.hour * 60 + local.minute
        if self.times and not any(start <= minute < end for start, end in self.times):
            return False
        if self.days_of_month and not self._has_day(local):
            return False
        weekday = (local.weekday() + 1) % 7
        fields = ((self.months, local.month), (self.weekdays, weekday), (self.years, local.year))
        return all(not ranges or any(a <= value <= b for a, b in ranges) for ranges, value in fields)

    def _has_day(self, local: dt.datetime) -> bool:
        """Negative days count from the month's end; a range is clamped to the month unless it begins after its end."""
        days = calendar.monthrange(local.year, local.month)[1]
        for first, last in self.days_of_month:
            begin = days + first + 1 if first < 0 else first
            end = days + last + 1 if last < 0 else last
            if begin > days:
                continue
            if max(begin, -days) <= local.day <= min(max(end, -days), days):
                return True
        return False


def parse_interval(raw: Any) -> TimeInterval:
    """One entry of `time_intervals`. ValueError says what is wrong."""
    if not isinstance(raw, Mapping):
        raise ValueError("must be a mapping")
    if unknown := sorted(set(map(str, raw)) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]}")
    return TimeInterval(
        times=tuple(_times(entry) for entry in _entries(raw, "times")),
        weekdays=_ranges(raw, "weekdays", lambda text: _named(text, WEEKDAYS, 0)),
        days_of_month=_ranges(raw, "days_of_month", _day),
        months=_ranges(raw, "months", lambda text: _named(text, MONTHS, 1)),
        years=_ranges(raw, "years", int),
        location=_location(raw.get("location")),
    )


def write_interval(interval: TimeInterval) -> dict[str, Any]:
    """The entry again, as a configuration file has it."""
    found: dict[str, Any] = {}
    if interval.times:
        found["times"] = [{"start_time": _clock(start), "end_time": _clock(end)} for start, end in interval.times]
    names: tuple[tuple[str, tuple[Range, ...], list[str] | None], ...] = (
        ("weekdays", interval.weekdays, WEEKDAYS),
        ("days_of_month", interval.days_of_month, None),
        ("months", interval.months, MONTHS),
        ("years", interval.years, None),
    )
    for name, ranges, spellings in names:
        if ranges:
            found[name] = [":".join(_word(part, spellings) for part in dict.fromkeys(pair)) for pair in ranges]
    if interval.location:
        found["location"] = interval.location
    return found


def _word(number: int, spellings: list[str] | None) -> str:
    return spellings[number] if spellings else str(number)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _entries(raw: Mapping[str, Any], name: str) -> list[Any]:
    given = raw.get(name) or []
    if not isinstance(given, list) or len(given) > 1000:
        raise ValueError(f"{name} must be a list")
    return given


def _times(raw: Any) -> Range:
    if not isinstance(raw, Mapping) or set(raw) != {"start_time", "end_time"}:
        raise ValueError("times need start_time and end_time")
    start, end = _minutes(raw["start_time"]), _minutes(raw["end_time"])
    if start >= end:
        raise ValueError("start_time must be before end_time")
    return start, end


def _minutes(text: Any) -> int:
    # YAML 1.1 reads 09:30 without quotes as a number in base 60.
    if isinstance(text, int):
        return text
    hit = CLOCK.fullmatch(str(text))
    if hit is None:
        raise ValueError(f"{text!r} is not a time such as 09:00")
    return int(hit[1] or hit[3]) * 60 + int(hit[2] or hit[4])


def _ranges(raw: Mapping[str, Any], name: str, number: Callable[[str], int]) -> tuple[Range, ...]:
    found = []
    for entry in _entries(raw, name):
        parts = str(entry).strip().lower().split(":")
        try:
            numbers = [number(part.strip()) for part in parts]
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if len(numbers) > 2:
            raise ValueError(f"{name}: {entry!r} must be one value or begin:end")
        begin, end = numbers[0], numbers[-1]
        if name == "days_of_month":
            _check_days(begin, end)
        elif begin > end:
            raise ValueError(f"{name}: {entry!r} ends before it begins")
        found.append((begin, end))
    return tuple(found)


def _check_days(begin: int, end: int) -> None:
    if begin < 0 < end:
        raise ValueError("days_of_month: the end must be negative where the begin is")
    # 31 days long, a month tells whether any month can have the range.
    if (begin + 32 if begin < 0 else begin) > (end + 32 if end < 0 else end):
        raise ValueError("days_of_month: a range ends before it begins")


def _day(text: str) -> int:
    day = int(text)
    if day == 0 or not -31 <= day <= 31:
        raise ValueError(f"{text} is not a day of a month")
    return day


def _named(text: str, spellings: list[str], least: int) -> int:
    if text in spellings[least:]:
        return spellings.index(text)
    if least and text.isdigit() and least <= int(text) < len(spellings):
        return int(text)
    raise ValueError(f"{text!r} is not among {', '.join(spellings[least:])}")


def _location(name: Any) -> str:
    if not name or name == "UTC":
        return ""
    try:
        ZoneInfo(str(name))
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin") from None
    return str(name)
