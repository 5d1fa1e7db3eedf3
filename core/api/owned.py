"""What belongs to a workspace or to the whole portal, as a resource: seen by its readers, changed by its operators,
made for one of them."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import F, Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from core.accounts import permissions
from core.accounts.holder import KeyHolder
from core.accounts.models import Owned, Workspace
from core.accounts.ownership import changer_of, owned
from core.api.fields import ManagedBy
from core.api.resources import Acting, Editable

T = TypeVar("T", bound=Owned)


class OwnedSerializer(Acting, serializers.ModelSerializer[T]):
    """A serializer whose object says whose it is."""

    workspace = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Workspace.objects.all(),
        allow_null=True,
        required=False,
        help_text="Whose it is, by slug; null: the whole portal's. Left out: the key's workspace, or the only one that"
        " one operates.",
    )

    managed_by = ManagedBy()

    def validate_workspace(self, workspace: Workspace | None) -> Workspace | None:
        """One that the caller operates; it stays."""
        if self.instance is not None and workspace != self.instance.workspace:
            raise serializers.ValidationError("cannot be changed")
        if workspace is not None and not permissions.visible(self.actor).filter(pk=workspace.pk).exists():
            raise serializers.ValidationError("there is no such workspace")
        return workspace

    def owner(self) -> Workspace | None:
        """Whose the object is, or is to be."""
        if self.instance is not None:
            found: Workspace | None = self.instance.workspace
            return found
        if "workspace" in self.initial_data:
            return Workspace.objects.filter(slug=str(self.initial_data["workspace"] or "")).first()
        if isinstance(self.actor, KeyHolder):
            return self.actor.key.workspace
        operated = list(permissions.operated(self.actor)[:2])
        return operated[0] if len(operated) == 1 and not changer_of(self.actor).portal else None

    def may_own(self, workspace_id: int | None) -> bool:
        """Whether the caller may make one for the workspace with this id (None: the whole portal)."""
        return changer_of(self.actor).may(workspace_id)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A new object has its owner, whose operator the caller must be."""
        if self.instance is None:
            attrs = {**attrs, "workspace": attrs["workspace"] if "workspace" in attrs else self.owner()}
            owner = attrs["workspace"]
            if not self.may_own(owner.pk if owner else None):
                raise PermissionDenied(
                    "This needs an operator of its workspace; without one it belongs to the whole portal."
                )
        else:
            attrs = {name: value for name, value in attrs.items() if name != "workspace"}
        return attrs


class OwnedName(serializers.SlugRelatedField[T]):
    """A thing by its name, of the object's owner or of the whole portal; the owner's comes first."""

    def to_internal_value(self, data: Any) -> T:
        """The thing. Raises ValidationError."""
        owner = self.root.owner() if isinstance(self.root, OwnedSerializer) else None
        mine = Q(workspace=None) | Q(workspace=owner)
        named = Q(**{str(self.slug_field): str(data).replace("\x00", "")})
        queryset = self.get_queryset()
        found = (
            None
            if queryset is None
            else queryset.filter(mine, named).order_by(F("workspace").asc(nulls_last=True)).first()
        )
        if found is None:
            self.fail("does_not_exist", slug_name=self.slug_field, value=str(data))
        return found


class OwnedEditable(Editable[T]):
    """A resource of things that have owners."""

    is_scoped = True

    def get_queryset(self) -> QuerySet[T]:
        """Those that the caller sees."""
        return super().get_queryset().filter(owned(self.slugs)).select_related("workspace")

    def may_change(self, instance: T) -> bool:
        """As the pages have it."""
        return changer_of(self.actor).may(instance.workspace_id)
