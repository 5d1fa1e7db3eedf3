"""REST resources of workspaces, their members and API keys."""

from __future__ import annotations

from typing import Any

import django_filters
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from core.accounts import people, permissions, time_zones, workspaces
from core.accounts.keys import KeyRefused, create_key, revoke_key
from core.accounts.models import SCOPES, ApiKey, Membership, Workspace
from core.api.fields import ManagedBy
from core.api.filters import Filters
from core.api.problems import refusals
from core.api.resources import Acting, Editable, Listed


def time_zone_of_api(name: str) -> None:
    """A validator of serializers. Raises ValidationError for a name that no zone has."""
    if name not in time_zones.names():
        raise serializers.ValidationError("There is no such time zone; write it as Europe/Berlin.")


class WorkspaceSerializer(Acting, serializers.ModelSerializer[Workspace]):
    """A tenant. The slug is given once."""

    time_zone = serializers.CharField(
        max_length=64,
        required=False,
        validators=[time_zone_of_api],
        help_text="Such as Europe/Berlin: costs and budgets count days by it. UTC unless said otherwise.",
    )
    managed_by = ManagedBy()

    class Meta:
        model = Workspace
        fields = ("slug", "name", "time_zone", "created_at", "managed_by")
        read_only_fields = ("created_at",)

    def validate_slug(self, slug: str) -> str:
        """Records carry it, so it stays."""
        if self.instance is not None and slug != self.instance.slug:
            raise serializers.ValidationError("cannot be changed: records carry it")
        return slug

    def create(self, validated_data: dict[str, Any]) -> Workspace:
        """Make it."""
        return workspaces.create_workspace(**validated_data)

    def update(self, instance: Workspace, validated_data: dict[str, Any]) -> Workspace:
        """Change its name or zone."""
        given = {"name": instance.name, "time_zone": instance.time_zone, **validated_data}
        return workspaces.update_workspace(instance, given["name"], given["time_zone"])


@extend_schema(tags=["people"])
class Workspaces(Editable[Workspace]):
    """Workspaces that the caller sees. Administrators of the portal make them, admins rename theirs; none is deleted:
    its records would stay."""

    queryset = Workspace.objects.order_by("slug")
    serializer_class = WorkspaceSerializer
    writers = "admins"
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    filterset_fields = ("slug",)
    ordering_fields = ("slug", "name", "created_at")
    http_method_names = ["get", "post", "patch", "head", "options"]

    def get_queryset(self) -> QuerySet[Workspace]:
        """Those that the caller sees."""
        return permissions.visible(self.actor).order_by("slug")

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make one, as an administrator of the portal."""
        if not permissions.administers_portal(self.actor):
            raise PermissionDenied("This needs an administrator of the portal.")
        return super().create(request, *args, **kwargs)

    def may_change(self, instance: Workspace) -> bool:
        """Its admins."""
        return permissions.administered(self.actor).filter(pk=instance.pk).exists()


class MemberSerializer(Acting, serializers.ModelSerializer[Membership]):
    """What a person may do in a workspace."""

    user = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all())
    workspace = serializers.SlugRelatedField(slug_field="slug", queryset=Workspace.objects.all())

    class Meta:
        model = Membership
        fields = ("id", "user", "workspace", "role")

    def validate_workspace(self, workspace: Workspace) -> Workspace:
        """One that the caller administers."""
        if not permissions.visible(self.actor).filter(pk=workspace.pk).exists():
            raise serializers.ValidationError(f"Object with slug={workspace.slug} does not exist.")
        if not permissions.administered(self.actor).filter(pk=workspace.pk).exists():
            raise PermissionDenied("This needs an admin of the workspace.")
        return workspace

    def validate_user(self, user: User) -> User:
        """One whom the caller sees: to others an admin of a workspace sends an invitation."""
        if not people.listed(self.actor).filter(pk=user.pk).exists():
            raise serializers.ValidationError(f"Object with username={user.get_username()} does not exist.")
        return user

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Person and workspace say which membership it is."""
        for name in ("user", "workspace"):
            if self.instance is not None and name in attrs and attrs[name] != getattr(self.instance, name):
                raise serializers.ValidationError({name: "cannot be changed: remove the member and add the other one"})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Membership:
        """Add the member."""
        user, workspace = validated_data["user"], validated_data["workspace"]
        people.set_role(user, workspace, validated_data.get("role", "viewer"), by=self.actor)
        return Membership.objects.get(user=user, workspace=workspace)

    def update(self, instance: Membership, validated_data: dict[str, Any]) -> Membership:
        """Change the role."""
        people.set_role(instance.user, instance.workspace, validated_data.get("role", instance.role), by=self.actor)
        instance.refresh_from_db()
        return instance


class MemberFilter(Filters):
    """Which members."""

    user = django_filters.CharFilter("user__username")
    role = django_filters.ChoiceFilter(choices=Membership.ROLES)


@extend_schema(tags=["people"])
class Members(Editable[Membership]):
    """Who may do what in the caller's workspaces. Their admins change it."""

    queryset = Membership.objects.order_by("workspace__slug", "user__username", "id")
    serializer_class = MemberSerializer
    is_scoped = True
    writers = "admins"
    is_confirmed_first = True
    lookup_value_regex = r"\d+"
    filterset_class = MemberFilter
    ordering_fields = ("user__username", "role")

    def get_queryset(self) -> QuerySet[Membership]:
        """Of the workspaces that the caller sees."""
        found = super().get_queryset().select_related("user", "workspace")
        return found if self.slugs is None else found.filter(workspace__slug__in=sorted(self.slugs))

    def may_change(self, instance: Membership) -> bool:
        """The workspace's admins."""
        return permissions.administered(self.actor).filter(pk=instance.workspace_id).exists()

    def remove(self, instance: Membership) -> None:
        """Take the access away."""
        people.set_role(instance.user, instance.workspace, None, by=self.actor)


class KeySerializer(Acting, serializers.ModelSerializer[ApiKey]):
    """An API key. `key`, the secret itself, is in the answer that makes it and never again."""

    workspace = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Workspace.objects.all(),
        allow_null=True,
        help_text="null: all workspaces, to read and to change rules; for administrators of the portal.",
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES), allow_empty=False, max_length=len(SCOPES)
    )
    created_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    state = serializers.SerializerMethodField()
    key = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "name",
            "workspace",
            "scopes",
            "rate",
            "expires_at",
            "state",
            "prefix",
            "revoked_at",
            "last_used_at",
            "created_at",
            "created_by",
            "key",
        )
        read_only_fields = ("prefix", "revoked_at", "last_used_at", "created_at")

    @extend_schema_field(serializers.ChoiceField(choices=ApiKey.STATES))
    def get_state(self, key: ApiKey) -> str:
        """Whether it works."""
        return key.state(timezone.now())

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_key(self, key: ApiKey) -> str | None:
        """The secret, where it was just made."""
        plaintext: str | None = getattr(key, "plaintext", None)
        return plaintext

    def validate_workspace(self, workspace: Workspace | None) -> Workspace | None:
        """One that the caller operates."""
        if workspace is None:
            if not permissions.is_superuser(self.actor):
                raise serializers.ValidationError("only administrators of the portal make keys of all workspaces")
        elif not permissions.visible(self.actor).filter(pk=workspace.pk).exists():
            raise serializers.ValidationError(f"Object with slug={workspace.slug} does not exist.")
        elif not permissions.operated(self.actor).filter(pk=workspace.pk).exists():
            raise PermissionDenied("This needs an operator of its workspace.")
        return workspace

    @refusals(KeyRefused)
    def create(self, validated_data: dict[str, Any]) -> ApiKey:
        """Make it."""
        given = validated_data
        key, plaintext = create_key(
            given["name"],
            given["workspace"],
            set(given["scopes"]),
            expires_at=given.get("expires_at"),
            rate=given.get("rate"),
            created_by=self.actor,
        )
        key.plaintext = plaintext  # type: ignore[attr-defined]  # not stored: for this one answer
        return key


class KeyFilter(Filters):
    """Which keys."""

    name = django_filters.CharFilter(lookup_expr="icontains")
    revoked = django_filters.BooleanFilter("revoked_at", lookup_expr="isnull", exclude=True)


@extend_schema(tags=["people"])
class Keys(mixins.CreateModelMixin, Listed[ApiKey]):
    """API keys of the caller's workspaces. Keys are made and revoked, never changed."""

    queryset = ApiKey.objects.order_by("name", "id")
    serializer_class = KeySerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filterset_class = KeyFilter
    ordering_fields = ("name", "created_at", "last_used_at")
    hidden_when_repeated = frozenset({"key"})
    is_confirmed_first = True

    def get_queryset(self) -> QuerySet[ApiKey]:
        """Those that the caller sees."""
        found = permissions.keys_seen(self.actor).order_by("name", "id")
        return found if self.slugs is None else found.filter(workspace__slug__in=sorted(self.slugs))

    @extend_schema(request=None, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Refuse the key from now on."""
        key = self.get_object()
        if not permissions.may_change_key(self.actor, key):
            raise PermissionDenied("This needs an operator of its workspace.")
        revoke_key(key, timezone.now())
        return Response(self.get_serializer(self.get_object()).data)
