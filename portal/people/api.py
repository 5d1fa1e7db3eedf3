"""REST resources of people and invitations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts import invitations, people, permissions
from core.accounts.holder import KeyHolder
from core.accounts.models import Invitation, Membership, Workspace
from core.api.errors import Conflict
from core.api.filters import Filters
from core.api.resources import Acting, Listed, Removable
from portal.people.mail import link_of, mail_invitation


class RoleSerializer(serializers.ModelSerializer[Membership]):
    """A role in one of the workspaces that the caller administers."""

    workspace: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Membership
        fields = ("workspace", "role")


class PersonSerializer(Acting, serializers.ModelSerializer[User]):
    """Somebody who can sign in, or could."""

    is_administrator = serializers.BooleanField(source="is_superuser", read_only=True, help_text="Of the whole portal.")
    roles = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "username", "email", "is_active", "is_administrator", "last_login", "date_joined", "roles")
        read_only_fields = fields

    @extend_schema_field(RoleSerializer(many=True))
    def get_roles(self, user: User) -> Any:
        """Where the caller administers."""
        mine = self.context.setdefault(
            "administered", frozenset(permissions.administered(self.actor).values_list("pk", flat=True))
        )
        found = [one for one in user.memberships.all() if one.workspace_id in mine]
        return RoleSerializer(sorted(found, key=lambda one: one.workspace.slug), many=True).data


class PersonFilter(Filters):
    """Which people."""

    username = django_filters.CharFilter(lookup_expr="icontains")
    email = django_filters.CharFilter(lookup_expr="iexact")
    is_active = django_filters.BooleanFilter()
    is_administrator = django_filters.BooleanFilter("is_superuser")


class HandOverSerializer(serializers.Serializer[Any]):
    """Who takes over."""

    to = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.filter(is_active=True))


@extend_schema(tags=["people"])
class People(Listed[User]):
    """People, for those who administer a workspace: its members; for administrators of the portal everybody. Roles are
    `members`."""

    queryset = User.objects.order_by("username")
    serializer_class = PersonSerializer
    readers = "admins"
    writers = "admins"
    is_confirmed_first = True
    lookup_value_regex = r"\d+"
    filterset_class = PersonFilter
    ordering_fields = ("username", "last_login", "date_joined")

    def get_queryset(self) -> QuerySet[User]:
        """Those whom the caller sees."""
        return people.listed(self.actor)

    def to_change(self, *, of_administrators: bool = False) -> User:
        """The person, for administrators of the portal. A key never changes who administers the portal."""
        person = self.get_object()
        if not permissions.administers_portal(self.actor):
            raise PermissionDenied("This needs an administrator of the portal.")
        if isinstance(self.actor, KeyHolder) and (of_administrators or person.is_superuser):
            raise PermissionDenied("Administrators of the portal are changed by people, not by keys.")
        return person

    def changed(self, write: Callable[[User], None], *, of_administrators: bool = False) -> Response:
        """The person after a named write. Raises Conflict where it refuses."""
        person = self.to_change(of_administrators=of_administrators)
        try:
            write(person)
        except people.PeopleError as refused:
            raise Conflict(str(refused)) from refused
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, pk: str) -> Response:
        """Let them sign in again."""
        return self.changed(lambda person: people.set_active(person, True, by=self.actor))

    @extend_schema(request=None, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, pk: str) -> Response:
        """End their sessions and let them sign in no more. 409 for the only administrator."""
        return self.changed(lambda person: people.set_active(person, False, by=self.actor))

    @extend_schema(request=None, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, pk: str) -> Response:
        """Make them an administrator of the portal."""
        return self.changed(lambda person: people.set_admin(person, True, by=self.actor), of_administrators=True)

    @extend_schema(request=None, responses=PersonSerializer)
    @action(detail=True, methods=["post"])
    def demote(self, request: Request, pk: str) -> Response:
        """End that. 409 for the only administrator."""
        return self.changed(lambda person: people.set_admin(person, False, by=self.actor), of_administrators=True)

    @extend_schema(request=HandOverSerializer, responses=PersonSerializer)
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: Request, pk: str) -> Response:
        """Give somebody else their roles, and the keys that they made. 409 for themselves."""

        def write(person: User) -> None:
            asked = HandOverSerializer(data=request.data)
            asked.is_valid(raise_exception=True)
            people.hand_over(person, asked.validated_data["to"], by=self.actor)

        return self.changed(write)


class InvitationSerializer(Acting, serializers.ModelSerializer[Invitation]):
    """A link that makes whoever opens it a member, once, within a week. `link` is in the answer that makes it and never
    again."""

    workspace = serializers.SlugRelatedField(slug_field="slug", queryset=Workspace.objects.all())
    email = serializers.EmailField(
        max_length=254,
        allow_blank=True,
        required=False,
        help_text="The link is mailed there; empty: it is handed over.",
    )
    invited_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    link = serializers.SerializerMethodField()
    mail_problem = serializers.SerializerMethodField()

    class Meta:
        model = Invitation
        fields = ("id", "workspace", "role", "email", "invited_by", "created_at", "expires_at", "link", "mail_problem")
        read_only_fields = ("created_at", "expires_at")

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_link(self, invitation: Invitation) -> str | None:
        """The link, where it was just made."""
        link: str | None = getattr(invitation, "link", None)
        return link

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_mail_problem(self, invitation: Invitation) -> str | None:
        """Why the link that was just made was not mailed; empty: it was."""
        problem: str | None = getattr(invitation, "mail_problem", None)
        return problem

    def validate_workspace(self, workspace: Workspace) -> Workspace:
        """One that the caller administers."""
        if not permissions.visible(self.actor).filter(pk=workspace.pk).exists():
            raise ValidationError(f"Object with slug={workspace.slug} does not exist.")
        if not permissions.administered(self.actor).filter(pk=workspace.pk).exists():
            raise PermissionDenied("This needs an admin of the workspace.")
        return workspace

    def create(self, validated_data: dict[str, Any]) -> Invitation:
        """Make it, and mail it where there is an address."""
        given = {"role": "viewer", "email": "", **validated_data}
        now = timezone.now()
        made, token = invitations.invite(given["workspace"], given["role"], given["email"], by=self.actor, now=now)
        link = link_of(token)
        # not stored: for this one answer
        made.link, made.mail_problem = link, mail_invitation(made, link)  # type: ignore[attr-defined]
        return made


@extend_schema(tags=["people"])
class Invitations(mixins.CreateModelMixin, Removable[Invitation]):
    """Open invitations to the workspaces that the caller administers; deleting one withdraws it."""

    queryset = Invitation.objects.order_by("-created_at", "id")
    serializer_class = InvitationSerializer
    readers = "admins"
    writers = "admins"
    is_confirmed_first = True
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_fields = ("role", "email")
    ordering_fields = ("created_at", "expires_at")
    hidden_when_repeated = frozenset({"link"})

    def get_queryset(self) -> QuerySet[Invitation]:
        """Those that can still be accepted."""
        mine = permissions.administered(self.actor)
        if self.slugs is not None:
            mine = mine.filter(slug__in=sorted(self.slugs))
        return invitations.open_invitations(timezone.now()).filter(workspace__in=mine)

    def remove(self, instance: Invitation) -> None:
        """Withdraw it: the link opens nothing any more."""
        invitations.withdraw(instance, by=self.actor)
