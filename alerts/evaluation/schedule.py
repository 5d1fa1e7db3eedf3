"""8 alert rules, when: the slots of a group, those that are due, and whether a group has fallen behind.

A slot is a multiple of the group's interval since the Unix epoch; with PORTAL_EVALUATION_JITTER each group's slots are
shifted by a part of its interval that depends on its name, so that not all groups are due at once. A slot is due once
the clock has passed it by the evaluation delay, so that records which arrive a little late still count.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from hashlib import blake2b

from django.conf import settings

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# A group is stalled once this many of its slots in a row were not evaluated.
STALLED_INTERVALS = 3
# A tick comes every 5 s and takes a moment: an interval of a few seconds must not look stalled between two ticks.
MIN_STALLED = dt.timedelta(seconds=30)


@dataclass(frozen=True)
class Slots:
    """The due slots of a group, oldest first, and how many were too old to be made up for."""

    due: list[dt.datetime]
    skipped: int


def due_slots(interval: int, until: dt.datetime | None, now: dt.datetime, shift: int = 0) -> Slots:
    """The slots after `until` that are due at `now`. A group never evaluated begins with
    the newest. `shift` is the group's (s)."""
    newest = slot_before(now - evaluation_delay(), interval, shift)
    step = dt.timedelta(seconds=interval)
    if until is None:
        return Slots([newest], 0)
    oldest = slot_before(until, interval, shift) + step
    bound = slot_before(now - dt.timedelta(seconds=settings.PORTAL.evaluation_catch_up), interval, shift)
    first = max(oldest, min(bound, newest))
    count = (newest - first) // step + 1
    return Slots([first + step * number for number in range(count)], max(0, (first - oldest) // step))


def slot_before(at: dt.datetime, interval: int, shift: int = 0) -> dt.datetime:
    """The newest slot at or before a time."""
    return EPOCH + dt.timedelta(seconds=(int((at - EPOCH).total_seconds()) - shift) // interval * interval + shift)


def shift_of(name: str, interval: int) -> int:
    """By how many seconds the slots of the group of that name are shifted: 0 without jitter."""
    if not settings.PORTAL.evaluation_jitter:
        return 0
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % interval


def is_stalled(interval: int, until: dt.datetime, now: dt.datetime) -> bool:
    """Whether a group whose last evaluated slot is `until` has missed so many slots that somebody should know."""
    allowed = max(dt.timedelta(seconds=STALLED_INTERVALS * interval), MIN_STALLED)
    return now - evaluation_delay() - until > allowed


def evaluation_delay() -> dt.timedelta:
    """How far behind the clock slots are evaluated."""
    return dt.timedelta(seconds=settings.PORTAL.evaluation_delay)


def milliseconds(at: dt.datetime) -> int:
    """Unix time in ms."""
    return (at - EPOCH) // dt.timedelta(milliseconds=1)
