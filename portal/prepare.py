"""What must be there before the portal answers: tables and static files; and the first start's user and API key."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction

from portal.models import OneTimePassword
from usage.keys import create_key
from usage.models import Workspace
from usage.partitions import ensure_ahead

# Any number; the same in every process that prepares the same database.
LOCK = 7_246_501


def prepare(now: datetime) -> None:
    """Bring tables and static files up to date, one process at a time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        call_command("migrate", interactive=False, verbosity=0)
        ensure_ahead(now)
        call_command("collectstatic", interactive=False, verbosity=0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@transaction.atomic
def first_credentials(now: datetime) -> dict[str, str]:
    """Make the first user (superuser, password to be changed) and the first API key; nothing if there are users."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    users = get_user_model().objects
    if users.exists():
        return {}
    password = secrets.token_urlsafe(12)
    admin = users.create_superuser("admin", password=password)
    OneTimePassword.objects.create(user=admin, created_at=now)
    workspace, _ = Workspace.objects.get_or_create(slug="default", defaults={"name": "Default", "created_at": now})
    _, key = create_key("first", workspace, ["ingest"], created_by=admin)
    return {"admin": "admin", "password": password, "api_key": key}
