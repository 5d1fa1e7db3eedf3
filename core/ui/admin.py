"""What the admins of all apps share: tables that are only looked at, and tables that grow."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
    Pages = Paginator[Model]
else:
    ModelAdmin = admin.ModelAdmin
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
