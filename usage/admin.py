"""Django's admin: every table can be looked at. What grows is read only, shown for the last day, and never counted
whole."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from core.audit.admin import AuditedAdmin
from core.ui.admin import BoundedPaginator, GrowingAdmin, ReadOnlyAdmin
from usage.models import (
    Budget,
    DeadLetter,
    DemoTraffic,
    Dimension,
    DirtyBucket,
    GaugeSample,
    LabelRule,
    LateArrival,
    Mark,
    MissingUsage,
    Price,
    Receipt,
    Record,
    Rollup1h,
    Rollup5m,
    Rollup15s,
    Total,
    Watermark,
)
from usage.records.pricing import operator


@admin.register(Record)
class RecordAdmin(GrowingAdmin):
    """Records as they arrived."""

    time_field = "at"
    ordering = ("-at",)
    list_display = (
        "at",
        "dimension",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
        "price_source",
        "duration_seconds",
    )
    list_select_related = ("dimension",)


@admin.register(Receipt)
class ReceiptAdmin(GrowingAdmin):
    """Answers to batches."""

    time_field = "received_at"
    ordering = ("-received_at",)
    list_display = ("received_at", "key", "workspace", "state", "accepted", "duplicates", "rejected", "seconds")
    list_filter = ("state",)
    list_select_related = ("key", "workspace")


@admin.register(Rollup15s, Rollup5m, Rollup1h)
class RollupAdmin(GrowingAdmin):
    """Sums per bucket of time."""

    ordering = ("-bucket",)
    list_display = ("bucket", "dimension")
    list_select_related = ("dimension",)


@admin.register(GaugeSample)
class GaugeSampleAdmin(GrowingAdmin):
    """Values of gauges."""

    ordering = ("-bucket",)
    list_display = ("at", "dimension", "value")
    list_select_related = ("dimension",)


@admin.register(Dimension)
class DimensionAdmin(ReadOnlyAdmin):
    """Label sets."""

    paginator = BoundedPaginator
    list_display = ("kind", "labels", "first_at")
    list_filter = ("kind",)
    exclude = ("digest",)


@admin.register(Total)
class TotalAdmin(ReadOnlyAdmin):
    """Lifetime sums."""

    paginator = BoundedPaginator
    list_display = ("dimension",)
    list_select_related = ("dimension",)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Batches that could not be stored; they are replayed on the page Ingestion."""

    list_display = ("received_at", "records", "error", "attempts", "replayed_at")
    exclude = ("body",)


@admin.register(Watermark)
class WatermarkAdmin(ReadOnlyAdmin):
    """What storing transactions agree on. Its floors may be minus infinity, which Python cannot hold."""

    fields = ("generation", "generation_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Without the floors."""
        found: QuerySet[Model] = super().get_queryset(request)
        return found.defer("floor_15s", "floor_5m", "floor_1h")


@admin.register(DirtyBucket, DemoTraffic, LateArrival, MissingUsage)
class InternalAdmin(ReadOnlyAdmin):
    """What the portal keeps for itself."""


@admin.register(Price)
class PriceAdmin(AuditedAdmin):
    """Operators' prices."""

    list_display = ("provider", "model", "input_usd", "cached_usd", "output_usd", "valid_from")
    list_editable = ("input_usd", "cached_usd", "output_usd")
    search_fields = ("provider", "model")
    exclude = ("created_by", "created_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Kept with its author, and used at once."""
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        operator.forget()


@admin.register(Budget)
class BudgetAdmin(AuditedAdmin):
    """Budgets of teams."""

    list_display = ("team", "limit_usd", "period")
    list_editable = ("limit_usd", "period")


@admin.register(LabelRule)
class LabelRuleAdmin(AuditedAdmin):
    """What becomes of the values of labels."""

    list_display = ("kind", "label", "regex", "action", "workspace")


@admin.register(Mark)
class MarkAdmin(AuditedAdmin):
    """Deploys and other changes."""

    list_display = ("at", "title", "workspace", "author_name")
    search_fields = ("title",)
