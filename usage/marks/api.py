"""Marks as a resource: what a deploy pipeline posts to."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import django_filters
from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from core.api.fields import Texts
from core.api.filters import Filters
from core.api.owned import OwnedEditable, OwnedSerializer
from core.api.pages import TimedPages
from core.pg.text import storable, storable_labels
from usage.marks.edits import MAX_LABELS, delete_mark, may_mark, save_mark
from usage.models import Mark

AHEAD = dt.timedelta(days=1)


class MarkSerializer(OwnedSerializer[Mark]):
    """A change outside of the portal, such as a deploy, that charts and alerts show."""

    at = serializers.DateTimeField(required=False, help_text="When it happened; left out: now.")
    title = serializers.CharField(max_length=200, help_text="In a few words: checkout 2.14.0 deployed.")
    text = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    link = serializers.URLField(max_length=500, required=False, allow_blank=True, help_text="http or https.")
    labels = Texts(
        required=False,
        help_text="What it concerns, in labels of records: alerts that have another value of one do not show it.",
    )

    class Meta:
        model = Mark
        fields = ("id", "workspace", "at", "title", "text", "link", "labels", "author_name", "created_at")
        read_only_fields = ("author_name", "created_at")

    def may_own(self, workspace_id: int | None) -> bool:
        """Keys that send records may, in their workspace."""
        return may_mark(self.actor, workspace_id)

    def validate_at(self, at: dt.datetime) -> dt.datetime:
        """In the time of which charts have values."""
        now = timezone.now()
        if not now - dt.timedelta(days=settings.PORTAL.retention_1h_days) <= at <= now + AHEAD:
            raise serializers.ValidationError("must be within the retention of hourly values, and a day ahead at most")
        return at

    def validate_title(self, title: str) -> str:
        """As Postgres can keep it."""
        return storable(title)

    def validate_text(self, text: str) -> str:
        """As Postgres can keep it."""
        return storable(text)

    def validate_link(self, link: str) -> str:
        """Pages make a link of it: nothing that a browser would run."""
        if link and not link.lower().startswith(("http://", "https://")):
            raise serializers.ValidationError("must begin with https:// or http://")
        return link

    def validate_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """A few short ones."""
        if len(labels) > MAX_LABELS or any(len(text) > 200 for pair in labels.items() for text in pair):
            raise serializers.ValidationError(f"may be {MAX_LABELS}, of 200 characters each")
        return storable_labels(labels)

    def create(self, validated_data: dict[str, Any]) -> Mark:
        """Set it."""
        return save_mark(Mark(**validated_data), by=self.actor)

    def update(self, instance: Mark, validated_data: dict[str, Any]) -> Mark:
        """Change it."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return save_mark(instance, by=self.actor)


class MarkFilter(Filters):
    """Which marks."""

    after = django_filters.IsoDateTimeFilter("at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("at", lookup_expr="lt")


@extend_schema(tags=["boards"])
class Marks(OwnedEditable[Mark]):
    """Changes outside of the portal, the newest first; charts and alerts show them."""

    queryset = Mark.objects.all()
    serializer_class = MarkSerializer
    lookup_value_regex = r"\d+"
    filterset_class = MarkFilter
    pagination_class = TimedPages
    ordering_fields: ClassVar[tuple[str, ...]] = ()
    read_scopes = frozenset({"query", "admin", "ingest"})
    write_scopes = frozenset({"admin", "ingest"})
    writers = "reporters"

    def may_change(self, instance: Mark) -> bool:
        """As for making it."""
        return may_mark(self.actor, instance.workspace_id)

    def remove(self, instance: Mark) -> None:
        """Forget it."""
        delete_mark(instance, by=self.actor)
