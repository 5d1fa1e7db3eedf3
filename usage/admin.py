"""Django's admin: every table can be looked at. What grows is read only, shown for the last day, and never counted whole."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from usage.models import (
    ApiKey,
    Budget,
    DeadLetter,
    DemoTraffic,
    Dimension,
    DirtyBucket,
    Epoch,
    GaugeSample,
    Membership,
    Price,
    Receipt,
    Record,
    Rollup1h,
    Rollup5m,
    Rollup15s,
    Total,
    Workspace,
)
from usage.price import operator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
    PriceAdminBase = admin.ModelAdmin[Price]
    Pages = Paginator[Model]
else:
    ModelAdmin = PriceAdminBase = admin.ModelAdmin
    Pages = Paginator

COUNTED = 2_000
SHOWN = timedelta(days=1)


class BoundedPaginator(Pages):
    """Counts up to a bound: more is not looked through page by page."""

    @cached_property
    def count(self) -> int:
        """How many rows, or the bound."""
        return len(self.object_list.values_list("pk")[:COUNTED]) if isinstance(self.object_list, QuerySet) else 0


class ReadOnlyAdmin(ModelAdmin):
    """To be looked at."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


class GrowingAdmin(ReadOnlyAdmin):
    """A table that is partitioned by `time_field`: its last day."""

    paginator = BoundedPaginator
    list_per_page = 50
    time_field = "bucket"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """The last day, so that only its partitions are read."""
        found: QuerySet[Model] = super().get_queryset(request)
        return found.filter(**{f"{self.time_field}__gte": timezone.now() - SHOWN})


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


@admin.register(Epoch)
class EpochAdmin(ReadOnlyAdmin):
    """What storing transactions agree on. Its floors may be minus infinity, which Python cannot hold."""

    fields = ("generation", "generation_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        """Without the floors."""
        found: QuerySet[Model] = super().get_queryset(request)
        return found.defer("floor_15s", "floor_5m", "floor_1h")


@admin.register(DirtyBucket, DemoTraffic)
class InternalAdmin(ReadOnlyAdmin):
    """What the portal keeps for itself."""


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are made and revoked on the page Keys, where the plaintext is shown once; here their bounds are changed."""

    list_display = ("name", "prefix", "workspace", "scopes", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace",)
    search_fields = ("name", "prefix")
    fields = ("name", "prefix", "workspace", "scopes", "rate", "expires_at", "revoked_at", "last_used_at", "created_at")
    readonly_fields = ("prefix", "workspace", "revoked_at", "last_used_at", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Not here."""
        return False


@admin.register(Workspace)
class WorkspaceAdmin(ModelAdmin):
    """Tenants. One with records is not deleted: they would stay without it."""

    list_display = ("slug", "name", "created_at")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    """Who may do what where."""

    list_display = ("user", "workspace", "role")
    list_editable = ("role",)
    list_filter = ("workspace", "role")
    list_select_related = ("user", "workspace")


@admin.register(Price)
class PriceAdmin(PriceAdminBase):
    """Operators' prices."""

    list_display = ("provider", "model", "input_usd", "cached_usd", "output_usd", "valid_from")
    list_editable = ("input_usd", "cached_usd", "output_usd")
    search_fields = ("provider", "model")
    exclude = ("created_by", "created_at")

    def save_model(self, request: HttpRequest, obj: Price, form: object, change: bool) -> None:
        """Kept with its author, and used at once."""
        if not change:
            obj.created_by_id = request.user.pk
        obj.save()
        operator.forget()


@admin.register(Budget)
class BudgetAdmin(ModelAdmin):
    """Budgets of teams."""

    list_display = ("team", "limit_usd", "period")
    list_editable = ("limit_usd", "period")
