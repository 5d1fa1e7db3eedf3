"""Writes of what alerts somebody gets mail about."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from alerts.models import Channel
from alerts.notify.channels import create_channel, delete_channel
from alerts.notify.transports.contract import ConfigInvalid
from alerts.oncall.means import free_name
from core.audit.record import record_change, snapshot

AUDITED = ("follows",)


def followed_by(person: User) -> str:
    """Which alerts the person gets mail about; empty: none."""
    return Channel.every.filter(person=person).exclude(follows="").values_list("follows", flat=True).first() or ""


def follow(person: User, which: str) -> None:
    """Have the person get mail about these alerts (empty: none), to the address of the account. ConfigInvalid where it
    has none."""
    if which not in ("", *Channel.Follows.values):
        raise ConfigInvalid({"follows": f"must be one of {', '.join(Channel.Follows.values)}"})
    if which and not person.email:
        raise ConfigInvalid({"follows": "your account has no mail address"})
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)
        old = Channel.every.filter(person=person).exclude(follows="").first()
        if old is not None and (not which or old.target != person.email):
            delete_channel(old)
            old = None
        if old is not None:
            before = snapshot(old, AUDITED)
            old.follows = which
            old.save(update_fields=["follows", "updated_at"])
            record_change(old, before, snapshot(old, AUDITED), by=person)
        elif which:
            create_channel("email", free_name(person, "email"), {"to": [person.email]}, person=person, follows=which)
