"""Who is on call when: rotations, a calendar and overrides as spans of layers, of which the highest
counts. Knows nothing of the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)
MIDNIGHT = dt.time()


@dataclass(frozen=True)
class Span:
    """Somebody's time in a layer, end exclusive."""

    start: dt.datetime
    end: dt.datetime
    person: int
    layer: int


@dataclass(frozen=True)
class Shift:
    """A time in which nothing changes; `people` are on call, nobody where it is empty."""

    start: dt.datetime
    end: dt.datetime
    people: tuple[int, ...]


@dataclass(frozen=True)
class Turns:
    """A rotation: `people` follow each other every `shift_days` at `handover`, first on
    `first_day`; times are of `zone`'s clocks."""

    people: Sequence[int]
    first_day: dt.date
    handover: dt.time
    shift_days: int
    zone: ZoneInfo
    weekdays: Sequence[int] = ()
    begins: dt.time | None = None
    ends: dt.time | None = None


def turns_spans(turns: Turns, layer: int, start: dt.datetime, end: dt.datetime) -> Iterator[Span]:
    """The rotation's spans that touch `start` to `end`."""
    if not turns.people:
        return
    days = (start.astimezone(turns.zone).date() - turns.first_day).days
    number = max(0, days // turns.shift_days - 1)
    while True:
        first = turns.first_day + number * turns.shift_days * DAY
        begin = _moment(first, turns.handover, turns.zone)
        over = _moment(first + turns.shift_days * DAY, turns.handover, turns.zone)
        if begin >= end:
            return
        person = turns.people[number % len(turns.people)]
        for opened, closed in _windows(turns, first, begin, over):
            if opened < end and closed > start:
                yield Span(opened, closed, person, layer)
        number += 1


def _windows(
    turns: Turns, first: dt.date, begin: dt.datetime, over: dt.datetime
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """The parts of a shift within the rotation's weekdays and hours."""
    if not turns.weekdays and turns.begins is None and turns.ends is None:
        yield begin, over
        return
    opens, closes = turns.begins or MIDNIGHT, turns.ends or MIDNIGHT
    # A window of the evening before may reach into the shift.
    for day in (first + number * DAY for number in range(-1, turns.shift_days + 1)):
        if turns.weekdays and day.weekday() not in turns.weekdays:
            continue
        opened = max(_moment(day, opens, turns.zone), begin)
        closed = min(_moment(day if closes > opens else day + DAY, closes, turns.zone), over)
        if opened < closed:
            yield opened, closed


def resolve(spans: Iterable[Span], start: dt.datetime, end: dt.datetime) -> list[Shift]:
    """The shifts from `start` to `end` without a gap: at each time those of the highest layer that has anybody."""
    inside = [span for span in spans if span.start < end and span.end > start and span.start < span.end]
    edges = sorted({start, end, *(max(span.start, start) for span in inside), *(min(span.end, end) for span in inside)})
    inside.sort(key=lambda span: span.start)
    active: list[Span] = []
    found: list[Shift] = []
    following = 0
    for begin, over in pairwise(edges):
        while following < len(inside) and inside[following].start <= begin:
            active.append(inside[following])
            following += 1
        active = [span for span in active if span.end > begin]
        top = max((span.layer for span in active), default=0)
        people = tuple(dict.fromkeys(span.person for span in active if span.layer == top))
        if found and found[-1].people == people:
            found[-1] = Shift(found[-1].start, over, people)
        else:
            found.append(Shift(begin, over, people))
    return found


def _moment(day: dt.date, at: dt.time, zone: ZoneInfo) -> dt.datetime:
    """A time on the zone's clocks, in UTC: sums of times in a zone would pass over its change of clocks."""
    return dt.datetime.combine(day, at, tzinfo=zone).astimezone(dt.UTC)
