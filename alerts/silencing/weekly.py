"""Windows of every week, on the clocks of a time zone: a window keeps its hours when these change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Weekly:
    """On `weekdays` (0: Monday) from `begins` to `ends`, over midnight where that is not later; the last one begins on
    `last_day` at the latest."""

    weekdays: frozenset[int]
    begins: dt.time
    ends: dt.time
    zone: ZoneInfo
    last_day: dt.date | None = None

    def windows(self, after: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Start and end, in UTC, of those that end after a time, in order."""
        first = after.astimezone(self.zone).date() - DAY
        last = self.last_day or first + 3650 * DAY
        for number in range((last - first).days + 1 if self.weekdays else 0):
            day = first + number * DAY
            if day.weekday() not in self.weekdays:
                continue
            over = day if self.ends > self.begins else day + DAY
            start, end = (
                dt.datetime.combine(one, at, self.zone).astimezone(dt.UTC)
                for one, at in ((day, self.begins), (over, self.ends))
            )
            # Clocks that are put forward may leave nothing of a window.
            if end > max(start, after):
                yield start, end

    @property
    def summary(self) -> str:
        """In a few words: `Mon to Fri 02:00 to 03:30 Europe/Berlin`."""
        days = sorted(self.weekdays)
        if len(days) == len(NAMES):
            text = "every day"
        elif len(days) > 2 and days[-1] - days[0] == len(days) - 1:
            text = f"{NAMES[days[0]]} to {NAMES[days[-1]]}"
        else:
            text = ", ".join(NAMES[day] for day in days)
        until = f", until {self.last_day}" if self.last_day else ""
        return f"{text} {self.begins:%H:%M} to {self.ends:%H:%M} {self.zone.key}{until}"
