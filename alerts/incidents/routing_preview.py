"""The routing as it would be under an edit, which is applied whole and taken back."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from alerts.incidents.alertmanager_file import import_file
from alerts.incidents.branches import save_branch
from alerts.incidents.policy import Policy, current_policy
from core.accounts.holder import Actor
from core.accounts.models import Workspace


def apply(text: str, workspace: Workspace | None, by: Actor | None, now: dt.datetime) -> list[str]:
    """Put the text in force, as the branch of a workspace or (None) as all of it; what of it was left out.
    ConfigurationError says what is wrong."""
    if workspace is not None:
        save_branch(workspace, text, by=by, now=now)
        return []
    return import_file(text, by=by, now=now).left_out


def planned(text: str, workspace: Workspace | None, by: Actor | None, now: dt.datetime) -> Policy:
    """The routing and the channels as they would be with the text in force. ConfigurationError says what is wrong."""
    with transaction.atomic():
        apply(text, workspace, by, now)
        policy = current_policy()
        transaction.set_rollback(True)
    return policy
