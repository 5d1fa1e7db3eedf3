"""What belongs to a workspace or to the whole portal: who sees it, and who changes it.

A workspace's own things are seen by its members only and changed by its operators. What belongs to the whole portal (no
workspace) is seen by everybody with a login, and changed by those who operate all of it: superusers, and whoever
operates every workspace.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Q

from core.accounts import permissions
from core.accounts.models import DEMO, Owned, Workspace
from core.accounts.permissions import Person


def owned(workspaces: Collection[str] | None, field: str = "workspace") -> Q:
    """Rows that a reader of these workspaces (None: all) may see: the portal's, and those of the workspaces."""
    if workspaces is None:
        return Q()
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__slug__in": sorted(workspaces)})


def sees(workspaces: Collection[str] | None, thing: Owned) -> bool:
    """Whether a reader of these workspaces (None: all) may see it; its `workspace` is fetched already."""
    return workspaces is None or thing.workspace is None or thing.workspace.slug in workspaces


def sees_every_workspace(workspaces: Collection[str]) -> Q:
    """True where there is no other workspace than these, the one of demo traffic aside: then nothing of others can
    show."""
    return Q(~Exists(Workspace.objects.exclude(slug__in=[*workspaces, DEMO])))


def all_or(workspaces: Collection[str] | None) -> Collection[str] | None:
    """The workspaces, or None where they are all of them, the one of demo traffic aside."""
    if workspaces is None or not Workspace.objects.exclude(slug__in=[*workspaces, DEMO]).exists():
        return None
    return workspaces


if TYPE_CHECKING:
    WorkspaceChoice = forms.ModelChoiceField[Workspace]
else:
    WorkspaceChoice = forms.ModelChoiceField


@dataclass(frozen=True)
class Changer:
    """What a person may change: things of the workspaces with these ids, and the portal's."""

    workspaces: frozenset[int]
    portal: bool

    def may(self, owner_id: int | None) -> bool:
        """Whether things of the workspace with this id (None: the portal's) may be changed."""
        return self.portal if owner_id is None else self.portal or owner_id in self.workspaces

    def require(self, owner_id: int | None) -> None:
        """Raises PermissionDenied where they may not."""
        if not self.may(owner_id):
            whose = "its workspace" if owner_id is not None else "every workspace, for it belongs to the whole portal"
            raise PermissionDenied(f"This needs an operator of {whose}. Ask an administrator of the portal.")


def changer_of(user: Person) -> Changer:
    """What the person may change."""
    if permissions.is_superuser(user):
        return Changer(frozenset(), portal=True)
    ids = frozenset(permissions.operated(user).values_list("pk", flat=True))
    others = Workspace.objects.exclude(pk__in=ids).exclude(slug=DEMO)
    return Changer(ids, portal=bool(ids) and not others.exists())


class OwnerField(WorkspaceChoice):
    """Whom a new thing belongs to: one of the workspaces that the person operates, or the whole portal where they
    operate all of it."""

    def __init__(self, user: Person) -> None:
        portal = changer_of(user).portal
        operated = permissions.operated(user)
        first = None if portal else operated.first()
        super().__init__(
            operated,
            required=not portal,
            empty_label="the whole portal" if portal else None,
            initial=first,
            label="Belongs to",
            help_text="Its members see it, its operators change it, and rules read its records only.",
        )
