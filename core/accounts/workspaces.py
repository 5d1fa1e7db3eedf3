"""Writes of workspaces."""

from __future__ import annotations

from django.db import transaction

from core.accounts.models import Workspace
from core.audit.record import record, record_change, snapshot

EDITED = ("name", "time_zone")


def create_workspace(slug: str, name: str, time_zone: str = "UTC") -> Workspace:
    """A new tenant, without members."""
    with transaction.atomic():
        workspace = Workspace.objects.create(slug=slug, name=name, time_zone=time_zone)
        record("created", workspace, after=snapshot(workspace, ("slug", *EDITED)), workspace=slug)
    return workspace


def update_workspace(workspace: Workspace, name: str, time_zone: str) -> Workspace:
    """Change what people call it and when its days begin; its slug stays, since records carry it."""
    before = snapshot(workspace, EDITED)
    with transaction.atomic():
        workspace.name, workspace.time_zone = name, time_zone
        workspace.save(update_fields=EDITED)
        record_change(workspace, before, snapshot(workspace, EDITED))
    return workspace
