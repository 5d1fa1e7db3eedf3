"""Searches of traces and logs that workspaces share, as a REST resource."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from core.api.owned import OwnedEditable, OwnedSerializer
from telemetry.models import SavedView
from telemetry.pages.saved_views import MAX_VIEWS, delete_view, kept_query, save_view


class SavedViewSerializer(OwnedSerializer[SavedView]):
    """A search of traces or logs by a name."""

    class Meta:
        model = SavedView
        validators: ClassVar[list[Any]] = []  # validate says what is taken
        fields = ("id", "workspace", "page", "name", "query", "created_at", "managed_by")
        read_only_fields = ("created_at",)

    def validate_query(self, query: str) -> str:
        """Filters, time and order only."""
        return kept_query(query)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A name is there once for each owner and page."""
        attrs = super().validate(attrs)
        old = self.instance
        owner = attrs["workspace"] if old is None else old.workspace
        page, name = (attrs.get(field, getattr(old, field, "")) for field in ("page", "name"))
        same = SavedView.objects.filter(workspace=owner, page=page)
        if old is not None:
            same = same.exclude(pk=old.pk)
        if same.filter(name=name).exists():
            raise serializers.ValidationError({"name": "is taken"})
        if old is None and same.count() >= MAX_VIEWS:
            raise serializers.ValidationError({"name": f"there are {MAX_VIEWS} views already"})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> SavedView:
        """Make it."""
        return save_view(SavedView(**validated_data))

    def update(self, instance: SavedView, validated_data: dict[str, Any]) -> SavedView:
        """Change it."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return save_view(instance)


@extend_schema(tags=["telemetry"])
class SavedViews(OwnedEditable[SavedView]):
    """Views of traces and logs that the caller's workspaces share."""

    queryset = SavedView.objects.order_by("page", "name", "id")
    serializer_class = SavedViewSerializer
    lookup_value_regex = r"\d+"
    filterset_fields = ("page",)
    ordering_fields = ("page", "name")

    def remove(self, instance: SavedView) -> None:
        """Forget it."""
        delete_view(instance)
