"""What was received: receipts, dead letters, raw records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import django_filters
import msgspec
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.errors import Conflict
from core.api.fields import Texts
from core.api.filters import Filters
from core.api.pages import ReceivedPages, TimedPages
from core.api.resources import Growing, Listed
from usage.catalog import KINDS
from usage.ingest import pipeline
from usage.ingest.dead_letters import discard, may_change_letter
from usage.models import DeadLetter, Receipt, Record
from usage.pages import ingestion_queries

SHOWN = timedelta(days=1)


class ReceiptSerializer(serializers.ModelSerializer[Receipt]):
    """The answer to a batch, and what became of it."""

    receipt = serializers.UUIDField(source="id", read_only=True)
    key = serializers.CharField(source="key.name", default=None, allow_null=True, read_only=True)
    workspace = serializers.CharField(source="workspace.slug", default=None, allow_null=True, read_only=True)
    reasons = serializers.ListField(
        source="refusals",
        child=serializers.DictField(),
        read_only=True,
        help_text="The first refused records: index, field, error.",
    )
    notes = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="What else is to be known, as of late records.",
    )

    class Meta:
        model = Receipt
        fields = (
            "receipt",
            "state",
            "accepted",
            "duplicates",
            "rejected",
            "reasons",
            "notes",
            "received_at",
            "stored_at",
            "key",
            "workspace",
            "body_bytes",
            "seconds",
        )
        read_only_fields = fields


class TimeFilter(Filters):
    """From when to when; without `after` the last day, so that only its partitions are read."""

    time_field = "received_at"
    after = django_filters.IsoDateTimeFilter(method="since")
    before = django_filters.IsoDateTimeFilter(method="until")

    def since(self, found: QuerySet[Any], name: str, at: datetime) -> QuerySet[Any]:
        """From then on."""
        return found.filter(**{f"{self.time_field}__gte": at})

    def until(self, found: QuerySet[Any], name: str, at: datetime) -> QuerySet[Any]:
        """Before."""
        return found.filter(**{f"{self.time_field}__lt": at})

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """All filters, and the bound of the time."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        if self.form.cleaned_data.get("after"):
            return found
        end = self.form.cleaned_data.get("before") or timezone.now()
        return found.filter(**{f"{self.time_field}__gte": end - SHOWN})


class ReceiptFilter(TimeFilter):
    """Which receipts."""

    state = django_filters.ChoiceFilter(choices=Receipt.STATES)
    key = django_filters.NumberFilter("key_id")
    refused = django_filters.BooleanFilter(method="with_refused", label="Only with (or without) refused records.")

    def with_refused(self, found: QuerySet[Receipt], name: str, wanted: bool) -> QuerySet[Receipt]:
        """With refused records, or without."""
        return found.filter(rejected__gt=0) if wanted else found.filter(rejected=0)


@extend_schema(tags=["records"])
class Receipts(Growing[Receipt]):
    """Receipts of the caller's workspaces, the newest first."""

    queryset = Receipt.objects.select_related("key", "workspace")
    serializer_class = ReceiptSerializer
    is_scoped = True
    pagination_class = ReceivedPages
    filterset_class = ReceiptFilter

    def get_queryset(self) -> QuerySet[Receipt]:
        """Those that the caller sees."""
        found = super().get_queryset()
        return found if self.slugs is None else found.filter(workspace__slug__in=sorted(self.slugs))


class RecordSerializer(serializers.ModelSerializer[Record]):
    """A record as it is stored, with the labels that it is counted by."""

    kind = serializers.CharField(source="dimension.kind", read_only=True)
    labels = serializers.SerializerMethodField()
    workspace = serializers.CharField(source="workspace.slug", default=None, allow_null=True, read_only=True)
    attributes = serializers.DictField(read_only=True, allow_null=True)

    class Meta:
        model = Record
        fields = (
            "event_id",
            "at",
            "received_at",
            "receipt",
            "kind",
            "labels",
            "workspace",
            "trace_id",
            "span_id",
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "reasoning_tokens",
            "cost_usd",
            "price_source",
            "duration_seconds",
            "rate_limit_delay_seconds",
            "value",
            "attributes",
        )
        read_only_fields = fields

    @extend_schema_field(Texts)
    def get_labels(self, record: Record) -> dict[str, str]:
        """Its own labels, also where it is counted with others."""
        labels: dict[str, str] = record.overflow or record.dimension.labels
        return {name: str(value) for name, value in labels.items()}


class RecordFilter(TimeFilter):
    """Which records."""

    time_field = "at"
    kind = django_filters.ChoiceFilter("dimension__kind", choices=[(kind, kind) for kind in KINDS])
    provider = django_filters.CharFilter("dimension__labels__provider")
    model = django_filters.CharFilter("dimension__labels__model")
    team = django_filters.CharFilter("dimension__labels__team")
    component = django_filters.CharFilter("dimension__labels__component")
    outcome = django_filters.CharFilter("dimension__labels__outcome")
    trace_id = django_filters.CharFilter()
    receipt = django_filters.UUIDFilter()
    event_id = django_filters.UUIDFilter()
    min_cost_usd = django_filters.NumberFilter("cost_usd", lookup_expr="gte")
    min_duration_seconds = django_filters.NumberFilter("duration_seconds", lookup_expr="gte")


@extend_schema(tags=["records"])
class Records(Growing[Record]):
    """Raw records of the caller's workspaces, the newest first; without `after` those of the last day."""

    queryset = Record.objects.select_related("dimension", "workspace")
    serializer_class = RecordSerializer
    is_scoped = True
    pagination_class = TimedPages
    filterset_class = RecordFilter

    def get_queryset(self) -> QuerySet[Record]:
        """Those that the caller sees."""
        found = super().get_queryset()
        return found if self.slugs is None else found.filter(workspace__slug__in=sorted(self.slugs))


class LetterSerializer(serializers.ModelSerializer[DeadLetter]):
    """A batch that could not be stored."""

    workspace = serializers.CharField(source="workspace.slug", default=None, allow_null=True, read_only=True)
    key = serializers.CharField(source="key.name", default=None, allow_null=True, read_only=True)

    class Meta:
        model = DeadLetter
        fields = ("id", "receipt", "key", "workspace", "received_at", "records", "error", "attempts", "created_at")
        read_only_fields = fields


class ReplayedSerializer(serializers.Serializer[Any]):
    """What was stored."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()


@extend_schema(tags=["records"])
class DeadLetters(Listed[DeadLetter]):
    """Batches that wait for an operator, the newest first."""

    queryset = DeadLetter.objects.all()
    serializer_class = LetterSerializer
    is_scoped = True
    lookup_value_regex = r"\d+"
    filter_backends = ()

    def get_queryset(self) -> QuerySet[DeadLetter]:
        """Those that the caller sees."""
        return ingestion_queries.dead_letters(self.slugs)

    def to_change(self) -> DeadLetter:
        """The letter, for who may change it. Raises PermissionDenied."""
        letter = self.get_object()
        if not may_change_letter(self.actor, letter):
            raise PermissionDenied("This needs an operator of its workspace.")
        return letter

    @extend_schema(request=None, responses=ReplayedSerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Try to store it again. 409 with the reason when that still fails."""
        try:
            stored = pipeline.replay(self.to_change(), timezone.now())
        except (DatabaseError, ValueError, msgspec.MsgspecError) as error:
            raise Conflict(f"It still cannot be stored: {error}") from error
        return Response(ReplayedSerializer(stored).data)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        """Drop it for good."""
        discard(self.to_change())
        return Response(status=204)
