"""The routing as people edit it, and as it would be under an edit, which is applied whole and taken back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import transaction

from alerts.incidents.policy import Policy, current_policy
from alerts.incidents.routing.alertmanager_file import editable_file, import_file
from alerts.incidents.routing.branches import branch_text, save_branch
from core.accounts.holder import Actor
from core.accounts.models import Workspace
from core.api.editions import editing_text


def text_in_force(workspace: Workspace | None, readers: Collection[str] | None = None) -> str:
    """The text of a workspace's branch or (None) of all of it, as readers of these workspaces (None: all) see it.
    Empty: there is none."""
    return branch_text(workspace) if workspace else editable_file(readers)


@contextmanager
def editing(workspace: Workspace | None, edition: str, readers: Collection[str] | None = None) -> Iterator[None]:
    """Hold off others who edit any of the routing until the end of the transaction. Raises Outdated unless `edition`,
    if any, is the one of the text in force."""
    with editing_text("routing", lambda: text_in_force(workspace, readers), edition):
        yield


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
