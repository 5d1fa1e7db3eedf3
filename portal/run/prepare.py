"""What must be there before the portal answers: tables and static files; and the first start's user and API key."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

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
        if not is_migrated():
            call_command("migrate", interactive=False, verbosity=0)
        ensure_ahead(now)
        start_persist_series(now)
        call_command("collectstatic", interactive=False, verbosity=0)


def is_migrated() -> bool:
    """Whether every migration of the code is among those that the database has. They are known by the names of their
    files: to import them all, and to look for what every model needs, takes longer than the rest of a start."""
    with connection.cursor() as cursor:
        if MigrationRecorder.Migration._meta.db_table not in connection.introspection.table_names(cursor):
            return False
    applied = MigrationRecorder(connection).applied_migrations()
    of_code = {
        (app.label, path.stem)
        for app in apps.get_app_configs()
        for path in (Path(app.path) / "migrations").glob("[0-9]*.py")
    }
    return of_code <= applied.keys()


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
