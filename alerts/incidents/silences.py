"""Silences: written as Alertmanager writes them, and read with what they hit."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction

from alerts.incidents.collect import look_again, look_for
from alerts.incidents.models import Silence
from alerts.incidents.muting import matchers_of
from alerts.models import Alert, State
from alerts.queries import seen_by
from alerts.routing.matchers import Matchers, all_match
from core.audit.record import record, snapshot

LISTED = 500
AUDITED = ("matchers", "starts_at", "ends_at", "created_by", "comment")
LOOKED_AT = 20_000


class SilenceError(ValueError):
    """A silence that Alertmanager would refuse; says why."""


@dataclass(frozen=True)
class Matched:
    """What matchers hit: alerts that fire now, and how many fired since a time."""

    now: list[Alert]
    before: int


def set_silence(
    matchers: Matchers,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    *,
    created_by: str,
    comment: str,
    now: dt.datetime,
    silence_id: uuid.UUID | None = None,
    author: User | None = None,
) -> Silence:
    """A new silence, or a changed one; `author` is notified before it ends.

    Changing what has begun beyond its comment and end, or what has expired, expires it and makes a new one, as
    Alertmanager does. A start in the past is now.
    """
    _check(matchers, starts_at, ends_at, created_by, now)
    entries = [[matcher.name, matcher.op, matcher.value] for matcher in matchers]
    with transaction.atomic():
        old = Silence.objects.select_for_update().filter(pk=silence_id).first() if silence_id else None
        if silence_id and old is None:
            raise SilenceError(f"silence {silence_id} not found")
        if old is not None and _can_update(old, entries, starts_at, now):
            if old.ends_at != ends_at:
                old.notice_claimed_at = old.notice_sent_at = None
            old.matchers, old.ends_at, old.comment, old.created_by = entries, ends_at, comment, created_by
            old.author = author or old.author
            if old.state(now) == "pending":
                old.starts_at = max(starts_at, now)
            old.save()
            silence = old
        else:
            if old is not None and old.state(now) != "expired":
                _expire(old, now)
            silence = Silence.objects.create(
                matchers=entries,
                starts_at=max(starts_at, now),
                ends_at=ends_at,
                created_by=created_by,
                comment=comment,
                created_at=now,
                author=author or (old.author if old else None),
            )
        record("created" if silence is not old else "changed", silence, after=snapshot(silence, AUDITED))
        look_again(now)
        look_for(matchers, silence.starts_at)
    return silence


def expire_silence(silence: Silence, now: dt.datetime) -> None:
    """End it now; one that has not begun ends before it does. What it held back is notified at once. Expired ones stay
    as they are."""
    if silence.state(now) == "expired":
        return
    with transaction.atomic():
        _expire(silence, now)
        record("expired", silence, after=snapshot(silence, AUDITED))
        look_again(now)


def silence_list(now: dt.datetime, *, expired: bool = False) -> list[Silence]:
    """Active and pending ones, the first to end first; or the expired ones, the newest first."""
    if expired:
        return list(Silence.objects.filter(ends_at__lte=now).order_by("-ends_at")[:LISTED])
    return list(Silence.objects.filter(ends_at__gt=now).order_by("ends_at", "id")[:LISTED])


def matched_by(matchers: Matchers, since: dt.datetime, workspaces: Collection[str] | None) -> Matched:
    """What the matchers hit now, and would have hit since."""
    return matched_by_each([matchers], since, workspaces)[0]


def matched_by_each(many: Iterable[Matchers], since: dt.datetime, workspaces: Collection[str] | None) -> list[Matched]:
    """The same for several, with the alerts read once: those that a reader of these workspaces (None: all) may see."""
    visible = Alert.objects.filter(seen_by(workspaces))
    firing = list(visible.filter(state=State.FIRING).select_related("rule").order_by("-fired_at")[:LOOKED_AT])
    fired = visible.filter(fired_at__gte=since).order_by("-fired_at").values_list("labels", flat=True)
    past = list(fired[:LOOKED_AT])
    return [
        Matched(
            [alert for alert in firing if all_match(matchers, alert.labels)],
            sum(all_match(matchers, labels) for labels in past),
        )
        for matchers in many
    ]


def matched_by_silences(
    silences: list[Silence], since: dt.datetime, workspaces: Collection[str] | None
) -> list[Matched]:
    """What each of the silences hits."""
    return matched_by_each([matchers_of(silence) for silence in silences], since, workspaces)


def check_matchers(matchers: Matchers) -> None:
    """Raises SilenceError where they would silence everything."""
    if not matchers:
        raise SilenceError("at least one matcher required")
    if all(matcher.matches({}) for matcher in matchers):
        raise SilenceError("at least one matcher must not match the empty string")


def _check(matchers: Matchers, starts_at: dt.datetime, ends_at: dt.datetime, created_by: str, now: dt.datetime) -> None:
    check_matchers(matchers)
    if ends_at <= starts_at:
        raise SilenceError("end time must be after start time")
    if ends_at <= now:
        raise SilenceError("end time can't be in the past")
    if not created_by:
        raise SilenceError("creator information missing")


def _can_update(old: Silence, entries: list[list[str]], starts_at: dt.datetime, now: dt.datetime) -> bool:
    """Source: prometheus/alertmanager `silence.go` canUpdate."""
    if sorted(old.matchers) != sorted(entries) or old.state(now) == "expired":
        return False
    # Alertmanager compares whole seconds too: its API writes fewer digits than it keeps.
    return old.state(now) == "pending" or int(old.starts_at.timestamp()) == int(starts_at.timestamp())


def _expire(silence: Silence, now: dt.datetime) -> None:
    if silence.state(now) == "pending":
        silence.starts_at = now
    silence.ends_at = now
    silence.save()
