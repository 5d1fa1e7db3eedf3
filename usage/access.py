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
from django.http import Http404, HttpRequest, HttpResponse

from usage.models import Workspace

Person = User | AnonymousUser
Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def is_superuser(user: Person) -> bool:
    """Superusers may do everything everywhere."""
    return user.is_active and user.is_superuser


def visible(user: Person) -> QuerySet[Workspace]:
    """The workspaces that the person may see."""
    if is_superuser(user):
        return Workspace.objects.all()
    if user.pk is None:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user_id=user.pk)


def operated(user: Person) -> QuerySet[Workspace]:
    """The workspaces where the person may change things."""
    if is_superuser(user):
        return Workspace.objects.all()
    if user.pk is None:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user_id=user.pk, memberships__role="operator")


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
    def guarded(request: HttpRequest, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
        if not may_operate(request.user):
            raise PermissionDenied("This needs an operator of a workspace. Ask one, or an administrator of the portal.")
        return view(request, *args, **kwargs)

    return login_required(guarded)


@dataclass(frozen=True)
class Scope:
    """What a page reads: `slugs` of the workspaces, None for all of them; `chosen` is the filter in the URL, or empty."""

    slugs: frozenset[str] | None
    chosen: str
    choices: tuple[str, ...]

    @property
    def query(self) -> str:
        """Its part of a URL."""
        return urlencode({"workspace": self.chosen}) if self.chosen else ""


def read(user: Person, params: Mapping[str, str]) -> Scope:
    """The workspaces that a page of this person shows. Raises Http404 for one that the person may not see."""
    choices = tuple(visible(user).values_list("slug", flat=True))
    chosen = params.get("workspace", "")
    if chosen and chosen not in choices:
        raise Http404("No such workspace.")
    if chosen:
        return Scope(frozenset({chosen}), chosen, choices)
    return Scope(None if is_superuser(user) else frozenset(choices), "", choices)
