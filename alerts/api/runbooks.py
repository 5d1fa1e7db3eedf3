"""Runbooks and their versions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Runbook, RunbookVersion
from alerts.runbooks import edits
from alerts.runbooks.folder import require_editable
from core.accounts.ownership import sees
from core.accounts.permissions import scope_of
from core.api.owned import OwnedEditable, OwnedSerializer


class RunbookSerializer(OwnedSerializer[Runbook]):
    """What to do about a rule, in Markdown. A new text is a new version."""

    text = serializers.CharField(max_length=200_000, trim_whitespace=False)
    version = serializers.IntegerField(read_only=True, source="number")
    updated_at = serializers.DateTimeField(read_only=True)
    rules = serializers.SerializerMethodField(help_text="Names of the rules that show it.")

    class Meta:
        model = Runbook
        validators: ClassVar[list[Any]] = []  # the named writes say what is taken
        fields = ("slug", "workspace", "title", "text", "version", "updated_at", "rules", "managed_by")

    def get_rules(self, runbook: Runbook) -> list[str]:
        """Those that the caller sees."""
        slugs = scope_of(self.actor, {}).slugs
        return [one.name for one in runbook.rules.all() if sees(slugs, one)]

    def validate_slug(self, slug: str) -> str:
        """Rules and links go by it."""
        if slug == "new":
            raise serializers.ValidationError("is taken")
        if self.instance is not None and slug != self.instance.slug:
            raise serializers.ValidationError("cannot be changed")
        return slug

    def create(self, validated_data: dict[str, Any]) -> Runbook:
        """Make it."""
        made = edits.create_runbook(**validated_data, by=self.actor, now=timezone.now())
        found: Runbook = runbooks().get(pk=made.pk)
        return found

    def update(self, instance: Runbook, validated_data: dict[str, Any]) -> Runbook:
        """Save a version, and the title."""
        if "title" in validated_data:
            edits.rename_runbook(instance, validated_data["title"], by=self.actor)
        if "text" in validated_data:
            edits.save_version(instance, validated_data["text"], by=self.actor, now=timezone.now())
        return instance


class VersionSerializer(serializers.ModelSerializer[RunbookVersion]):
    """One saved text."""

    class Meta:
        model = RunbookVersion
        fields = ("number", "at", "author_name", "text")
        read_only_fields = fields


class RestoreSerializer(serializers.Serializer[Any]):
    """Which text is to be the newest again."""

    number = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


def runbooks() -> QuerySet[Any]:
    """Runbooks with the newest text, its number and time, and their rules."""
    newest = RunbookVersion.objects.filter(runbook=OuterRef("pk")).order_by("-number")
    columns = {"text": "text", "number": "number", "updated_at": "at"}
    return (
        Runbook.objects.annotate(**{name: Subquery(newest.values(of)[:1]) for name, of in columns.items()})
        .prefetch_related("rules__workspace")
        .order_by("title", "pk")
    )


@extend_schema(tags=["runbooks"])
class Runbooks(OwnedEditable[Any]):
    """Runbooks."""

    queryset = runbooks()
    serializer_class = RunbookSerializer
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    filterset_fields = ("slug",)
    ordering_fields = ("slug", "title")

    def get_object(self) -> Any:
        """One of them; what comes from a folder is changed there."""
        found = super().get_object()
        if self.request.method not in SAFE_METHODS:
            require_editable(found)
        return found

    def remove(self, instance: Runbook) -> None:
        """Remove it; its rules go on without one."""
        edits.delete_runbook(instance, by=self.actor)

    @extend_schema(responses=VersionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filterset_fields=None, ordering_fields=())
    def versions(self, request: Request, slug: str) -> Response:
        """Its texts, the newest first."""
        page = self.paginate_queryset(self.get_object().versions.order_by("-number"))
        return self.get_paginated_response(VersionSerializer(page, many=True).data)

    @extend_schema(request=RestoreSerializer, responses=RunbookSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, slug: str) -> Response:
        """Make an older text the newest again, as a new version."""
        runbook, asked = self.get_object(), RestoreSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        version = runbook.versions.filter(number=asked.validated_data["number"]).first()
        if version is None:
            raise ValidationError({"number": "the runbook has no such version"})
        edits.save_version(runbook, version.text, by=self.actor, now=timezone.now())
        return Response(self.get_serializer(self.get_object()).data)
