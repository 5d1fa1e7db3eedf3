"""The time range of a page, read from its URL: `range=24h`, or `from=` and `to=` (epoch milliseconds or ISO 8601)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

NAMED: Mapping[str, int] = {"1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LABELS: Mapping[str, str] = {"1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}
DEFAULT = "24h"
SHORTEST, LONGEST = MINUTE, 400 * DAY
POINTS = 350
RESOLUTION = 15 * SECOND
# From here on 5-minute rollups answer, if the window of a rate is a quarter of an hour or more (see usage.series.grid).
LONG = 12 * HOUR
# From here on hours do, if it is three hours or more.
DAYS = 3 * DAY

# Steps of charts, so that points fall on round times and on the borders of rollups.
_STEPS = tuple(
    size * unit
    for unit, sizes in ((SECOND, (15, 30)), (MINUTE, (1, 2, 5, 10, 15, 30)), (HOUR, (1, 2, 3, 6, 12)), (DAY, (1, 2)))
    for size in sizes
)


@dataclass(frozen=True)
class TimeRange:
    """From `start_ms` to `end_ms` (epoch milliseconds). `name` is empty for a fixed range; `problem` says what was
    unreadable."""

    start_ms: int
    end_ms: int
    name: str = ""
    problem: str = ""

    @property
    def span_ms(self) -> int:
        """Its length."""
        return self.end_ms - self.start_ms

    @property
    def step_ms(self) -> int:
        """The step of a chart of lines."""
        return self.step_for(POINTS)

    def step_for(self, points: int) -> int:
        """The step that gives at most so many points, never finer than the finest rollup."""
        return next((step for step in _STEPS if step * points >= self.span_ms), _STEPS[-1])

    def rate_window(self, step_ms: int) -> str:
        """What `$__rate_interval` stands for: no shorter than the step, and long enough for coarse rollups over a long
        range."""
        shortest = 5 * MINUTE if self.span_ms < LONG else 15 * MINUTE if self.span_ms < DAYS else 3 * HOUR
        return duration(max(shortest, step_ms))

    @property
    def window(self) -> str:
        """The whole range as a PromQL duration: what `$__range` stands for."""
        return duration(max(self.span_ms // SECOND, 1) * SECOND)

    @property
    def description(self) -> str:
        """In words: "last 24 h"."""
        return f"last {LABELS[self.name]}" if self.name else "the chosen time"

    @property
    def query(self) -> str:
        """Its part of a URL."""
        return urlencode({"range": self.name} if self.name else {"from": self.start_ms, "to": self.end_ms})

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The named ranges and their labels."""
        return list(LABELS.items())


def duration(ms: int) -> str:
    """Milliseconds as a PromQL duration in the largest unit that holds them exactly."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms // SECOND}s"


def named(name: str, now: datetime, problem: str = "") -> TimeRange:
    """The range `name` until now (the end of the present 15 s), from a border of the rollups that answer so long a
    range."""
    end = -(-int(now.timestamp() * SECOND) // RESOLUTION) * RESOLUTION
    span = NAMED[name]
    border = HOUR if span >= 3 * DAY else 5 * MINUTE if span >= LONG else RESOLUTION
    return TimeRange((end - span) // border * border, end, name, problem)


def parse(params: Mapping[str, str], now: datetime) -> TimeRange:
    """The range of a URL's parameters. What cannot be read gives the default range, with `problem` set."""
    start, end, name = params.get("from", ""), params.get("to", ""), params.get("range", "")
    if not start and not end:
        if name and name not in NAMED:
            return named(DEFAULT, now, f"The range “{name}” is not known; this is the last {LABELS[DEFAULT]}.")
        return named(name or DEFAULT, now)
    try:
        start_ms, end_ms = instant(start), instant(end) if end else int(now.timestamp() * SECOND)
    except (ValueError, OverflowError):
        return named(DEFAULT, now, f"The times of the URL cannot be read; this is the last {LABELS[DEFAULT]}.")
    if not SHORTEST <= end_ms - start_ms <= LONGEST:
        return named(DEFAULT, now, f"A range is between a minute and 400 days; this is the last {LABELS[DEFAULT]}.")
    return TimeRange(start_ms, end_ms)


def instant(text: str) -> int:
    """Epoch milliseconds of a number of them, or of an ISO time (UTC unless it states otherwise)."""
    if text.isdigit():
        ms = int(text)
    else:
        at = datetime.fromisoformat(text)
        ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * SECOND)
    if not 0 <= ms < 253_402_300_800_000:
        raise ValueError("outside the calendar")
    return ms
