"""How a person wants to be notified: channels of their own, each after a while and for
some severities. Without any, by mail."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain, count
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from alerts.models import Channel
from alerts.notify.channels import create_channel, delete_channel
from alerts.notify.transports.contract import ConfigInvalid
from core.audit.record import record

MAX_MEANS = 10
LONGEST_DELAY = 86_400


def own_means() -> QuerySet[Channel]:
    """Everybody's means."""
    return Channel.every.filter(follows="").exclude(person=None)


def means_of(people: Collection[int]) -> dict[int, list[Channel]]:
    """The means of these people that are switched on, by their ids, the first to be used first."""
    found: dict[int, list[Channel]] = {}
    rows = own_means().filter(person__in=people, person__is_active=True, enabled=True).select_related("person")
    for channel in rows.order_by("delay_seconds", "id"):
        found.setdefault(channel.person_id or 0, []).append(channel)
    return found


def add_means(
    person: User,
    kind: str,
    config: dict[str, Any],
    *,
    delay_seconds: int = 0,
    severities: list[str] | None = None,
    rate_limit: int | None = None,
    rate_seconds: int = 600,
) -> Channel:
    """Another way to reach the person; more than `rate_limit` messages in a span are one digest.

    ConfigInvalid describes the problem, by field.
    """
    if not 0 <= delay_seconds <= LONGEST_DELAY:
        raise ConfigInvalid({"delay_seconds": "must be a day at most"})
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)
        if own_means().filter(person=person).count() >= MAX_MEANS:
            raise ConfigInvalid({"kind": f"a person may have {MAX_MEANS} means"})
        return create_channel(
            kind,
            free_name(person, kind),
            config,
            severities=severities,
            person=person,
            delay_seconds=delay_seconds,
            rate_limit=rate_limit,
            rate_seconds=rate_seconds,
        )


def remove_means(channel: Channel) -> None:
    """Take it away."""
    delete_channel(channel)


def mail_of(person: User) -> Channel | None:
    """Mail to the address of the account, for who has chosen nothing; None without an address."""
    if not person.email:
        return None
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)
        if own_means().filter(person=person).exists():
            return None
        channel = create_channel("email", free_name(person, "email"), {"to": [person.email]}, person=person)
        record("chosen for want of another", channel)
    return channel


def free_name(person: User, kind: str) -> str:
    """A name for a channel of the person's. All that belong to no workspace share one space of names."""
    label = f"{person.get_username()[:60]}: {dict(Channel.Kind.choices).get(kind, kind)}"
    taken = set(Channel.every.filter(workspace=None, name__startswith=label).values_list("name", flat=True))
    numbered = (f"{label} {number}" for number in count(2))
    return next(one for one in chain([label], numbered) if one not in taken)
