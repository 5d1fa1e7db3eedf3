"""The base of all resources: who asks, which workspaces they see, and what every list, edit and deletion has in
common."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeVar

from django.db import transaction
from django.db.models import Model
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins, viewsets
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts import permissions
from core.accounts.holder import Actor
from core.api.editions import Outdated, editing, edition_of
from core.api.errors import EditedMeanwhile
from core.api.pages import CursorPages
from core.api.repeats import once

T = TypeVar("T", bound=Model)


def actor_of(request: Request) -> Actor:
    """Who acts. Raises PermissionDenied for a visitor, whom no view lets come so far."""
    person = request.user
    if not person.is_authenticated:
        raise PermissionDenied
    return person


class Resource(viewsets.GenericViewSet[T], Generic[T]):
    """A resource. Keys need one of `read_scopes` to read and of `write_scopes` to change; `reading_actions` are POSTs
    that only read.

    `writers` "platform": what all workspaces share, changed by who operates all of them; "reporters": operators, and
    keys that send records.
    `is_scoped`: what is listed belongs to workspaces, and `workspace` in the URL narrows it to one.
    `is_confirmed_first`: sessions change it only when the person has confirmed within the last minutes that it is them.
    """

    read_scopes: ClassVar[frozenset[str]] = frozenset({"query", "admin"})
    write_scopes: ClassVar[frozenset[str]] = frozenset({"admin"})
    reading_actions: ClassVar[frozenset[str]] = frozenset()
    readers: ClassVar[Literal["members", "operators", "admins"]] = "members"
    writers: ClassVar[Literal["reporters", "members", "operators", "admins", "platform"]] = "operators"
    is_confirmed_first: ClassVar[bool] = False
    is_editable: ClassVar[bool] = False
    is_scoped: ClassVar[bool] = False
    hidden_when_repeated: ClassVar[frozenset[str]] = frozenset()
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return actor_of(self.request)

    @property
    def slugs(self) -> frozenset[str] | None:
        """The workspaces that the caller sees, narrowed by `workspace` in the URL; None for all. Raises Http404."""
        return permissions.scope_of(self.actor, self.request.query_params).slugs

    def matched(self) -> str:
        """The edition that the caller wants to change; empty: whichever it is."""
        given = str(self.request.headers.get("If-Match", "")).strip().removeprefix("W/").strip('"')
        return "" if given == "*" else given

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After the checks: a creation is done once per Idempotency-Key."""
        super().initial(request, *args, **kwargs)
        if self.action == "create":
            self.post = once(self.post, self.hidden_when_repeated)  # type: ignore[has-type]


class Listed(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource[T]):
    """A resource that is read."""


class Growing(mixins.ListModelMixin, Resource[T]):
    """A table that grows: read page by page with a cursor, never counted, newest first."""

    pagination_class = CursorPages
    filter_backends = (DjangoFilterBackend,)


class Removable(Listed[T]):
    """A resource that is read and removed, by `remove`."""

    is_editable = True

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One of them, with its edition as ETag."""
        instance = self.get_object()
        return Response(self.get_serializer(instance).data, headers=self.edition_header(instance))

    def edition_header(self, instance: T) -> dict[str, str]:
        """Its ETag."""
        return {"ETag": f'"{edition_of(instance)}"'}

    def get_object(self) -> T:
        """The object, to change only for those who may."""
        instance: T = super().get_object()
        if self.request.method not in SAFE_METHODS and not self.may_change(instance):
            raise PermissionDenied("This needs an operator of its workspace.")
        return instance

    def may_change(self, instance: T) -> bool:
        """Whether the caller may change this one; narrower than the view's own permission where objects have
        workspaces."""
        return True

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove it."""
        instance = self.get_object()
        try:
            with editing(instance, self.matched()):
                self.remove(instance)
        except Outdated:
            raise EditedMeanwhile from None
        return Response(status=204)

    def remove(self, instance: T) -> None:
        """The named write."""
        raise NotImplementedError


class Editable(Removable[T]):
    """A resource that people edit; its serializer calls the named writes."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make one."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            instance: T = serializer.save()
        return Response(serializer.data, status=201, headers=self.edition_header(instance))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the fields that are given."""
        instance = self.get_object()
        try:
            with editing(instance, self.matched()):
                serializer = self.get_serializer(instance, data=request.data, partial=True)
                serializer.is_valid(raise_exception=True)
                serializer.save()
        except Outdated:
            raise EditedMeanwhile from None
        fresh = self.get_object()
        return Response(self.get_serializer(fresh).data, headers=self.edition_header(fresh))


class Acting:
    """Part of serializers that call named writes."""

    context: dict[str, Any]

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return actor_of(self.context["request"])
