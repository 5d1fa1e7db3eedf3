"""What must be there before the portal answers: tables and static files; and the first start's user and API key."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction

from core.accounts.keys import create_key
from core.accounts.models import Workspace
from core.pg.locks import AdvisoryLock
from portal.models import OneTimePassword
from usage.store.missing import start_persist_series
from usage.store.partitions import ensure_ahead

LOCK = AdvisoryLock(7_246_501)


def prepare(now: datetime) -> None:
    """Bring tables and static files up to date, one process at a time."""
    with LOCK.session():
        call_command("migrate", interactive=False, verbosity=0)
        ensure_ahead(now)
        start_persist_series(now)
        call_command("collectstatic", interactive=False, verbosity=0)


@transaction.atomic
def first_credentials(now: datetime) -> dict[str, str]:
    """Make the first user (superuser, password to be changed) and the first API key; nothing if there are users."""
    with connection.cursor() as cursor:
        LOCK.take(cursor)
    users = get_user_model().objects
    if users.exists():
        return {}
    password = secrets.token_urlsafe(12)
    admin = users.create_superuser("admin", password=password)
    OneTimePassword.objects.create(user=admin, created_at=now)
    workspace, _ = Workspace.objects.get_or_create(slug="default", defaults={"name": "Default", "created_at": now})
    _, key = create_key("first", workspace, ["ingest"], created_by=admin)
    return {"admin": "admin", "password": password, "api_key": key}
