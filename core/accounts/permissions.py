"""Which workspaces a person may see and operate. A stranger gets 404, as for a workspace that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from core.accounts.holder import Console, KeyHolder, LinkHolder
from core.accounts.models import ApiKey, Workspace

Person = User | AnonymousUser | KeyHolder | Console | LinkHolder
OPERATES = ("operator", "admin")
Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponseBase]


def is_superuser(user: Person) -> bool:
    """Superusers may do everything everywhere."""
    return user.is_active and user.is_superuser


def sees_all(user: Person) -> bool:
    """Superusers see every workspace, and so do the keys that they made for all."""
    return is_superuser(user) or (isinstance(user, KeyHolder) and user.key.workspace_id is None)


def visible(user: Person) -> QuerySet[Workspace]:
    """The workspaces that the person may see."""
    if sees_all(user):
        return Workspace.objects.all()
    if isinstance(user, KeyHolder):
        return Workspace.objects.filter(keys=user.key.pk)
    if user.pk is None:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user_id=user.pk)


def operated(user: Person) -> QuerySet[Workspace]:
    """The workspaces where the person may change things; a key with the scope `admin` may, where it belongs."""
    if isinstance(user, KeyHolder):
        return visible(user) if "admin" in user.key.scopes else Workspace.objects.none()
    if is_superuser(user):
        return Workspace.objects.all()
    if user.pk is None:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user_id=user.pk, memberships__role__in=OPERATES)


def operated_slugs(user: Person) -> frozenset[str] | None:
    """The slugs of the workspaces that the person operates, None for all of them: whose prompts and completions they
    may read."""
    return None if is_superuser(user) else frozenset(operated(user).values_list("slug", flat=True))


def keys_seen(user: Person) -> QuerySet[ApiKey]:
    """The keys of the person's workspaces; those of all workspaces are seen by who sees all."""
    found = ApiKey.objects.select_related("workspace", "created_by")
    return found if sees_all(user) else found.filter(workspace__in=visible(user))


def may_change_key(user: Person, key: ApiKey) -> bool:
    """Whether the person may revoke the key: operators of its workspace, and superusers one of all workspaces."""
    return is_superuser(user) if key.workspace_id is None else operated(user).filter(pk=key.workspace_id).exists()


def administers_portal(user: Person) -> bool:
    """Whether the person may change all workspaces, members and accounts: superusers, and keys of all workspaces with
    the scope `admin`."""
    return is_superuser(user) or (sees_all(user) and isinstance(user, KeyHolder) and "admin" in user.key.scopes)


def administered(user: Person) -> QuerySet[Workspace]:
    """The workspaces whose members the person may change: as their admin, or as administrator of the portal. A
    workspace's key changes none."""
    if administers_portal(user):
        return Workspace.objects.all()
    if user.pk is None:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user_id=user.pk, memberships__role="admin")


def administers(user: Person) -> bool:
    """Whether the person may change members of any workspace."""
    return administers_portal(user) or administered(user).exists()


def may_operate(user: Person) -> bool:
    """Whether the person may change what all workspaces share: budgets, prices, rules, channels."""
    return is_superuser(user) or operated(user).exists()


def person_of(request: HttpRequest) -> User:
    """Who is logged in; for views behind a login."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Log in first.")
    return request.user


def operator_required(view: View[Arguments]) -> View[Arguments]:
    """A view for those who operate any workspace: a visitor is sent to log in, others get 403."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponseBase:
        if not may_operate(request.user):
            raise PermissionDenied("This needs an operator of a workspace. Ask one, or an administrator of the portal.")
        return view(request, *args, **kwargs)

    return login_required(guarded)


@dataclass(frozen=True)
class Scope:
    """What a page reads: `slugs` of the workspaces, None for all of them; `chosen` is the filter in the URL, or
    empty."""

    slugs: frozenset[str] | None
    chosen: str
    choices: tuple[str, ...]

    @property
    def query(self) -> str:
        """Its part of a URL."""
        return urlencode({"workspace": self.chosen}) if self.chosen else ""


def scope_of(user: Person, params: Mapping[str, str]) -> Scope:
    """The workspaces that a page of this person shows. Raises Http404 for one that the person may not see."""
    choices = tuple(visible(user).values_list("slug", flat=True))
    chosen = params.get("workspace", "")
    if chosen and chosen not in choices:
        raise Http404("No such workspace.")
    if chosen:
        return Scope(frozenset({chosen}), chosen, choices)
    return Scope(None if sees_all(user) else frozenset(choices), "", choices)
