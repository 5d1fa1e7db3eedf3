"""What people chose for themselves: how pages look to them and where signing in leads."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from core.accounts.models import Preferences
from core.accounts.permissions import Person
from core.audit.record import record_change, snapshot

EDITED = ("time_zone", "theme", "density", "landing_page")


def preferences_of(user: Person | None) -> Preferences:
    """The person's own; of a visitor, and of who chose nothing, the defaults."""
    if user is None or user.pk is None:
        return Preferences()
    return Preferences.objects.filter(user_id=user.pk).first() or Preferences(user_id=user.pk)


def save_preferences(user: User, chosen: Mapping[str, str]) -> Preferences:
    """Store checked ones."""
    with transaction.atomic():
        stored, _ = Preferences.objects.select_for_update().get_or_create(user=user)
        before = snapshot(stored, EDITED)
        for name, value in chosen.items():
            setattr(stored, name, value)
        stored.save(update_fields=EDITED)
        record_change(user, before, snapshot(stored, EDITED), by=user)
    return stored
