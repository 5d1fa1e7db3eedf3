"""Django's admin of the audit log, to be looked at; and the base of every admin that changes something, so that its
changes are in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from core.audit.models import AuditLine
from core.audit.record import record, record_change, snapshot
from core.ui.admin import BoundedPaginator, ReadOnlyAdmin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
else:
    ModelAdmin = admin.ModelAdmin


class AuditedAdmin(ModelAdmin):
    """Changes through it are lines of the audit log. The admin's views run each in a transaction."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Store, and say which fields changed."""
        names = [
            name for name in form.changed_data if hasattr(obj, name) and not obj._meta.get_field(name).many_to_many
        ]
        old = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)
        if old is None:
            record("created", obj, after=snapshot(obj, names))
        else:
            record_change(obj, snapshot(old, names), snapshot(obj, names))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Remove, and say so."""
        record("deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Remove each, and say so."""
        for obj in queryset:
            self.delete_model(request, obj)


@admin.register(AuditLine)
class AuditLineAdmin(ReadOnlyAdmin):
    """The log; the page Audit log has its filters and exports."""

    paginator = BoundedPaginator
    list_display = ("at", "actor", "via", "address", "action", "object_type", "object_name", "workspace")
    list_filter = ("via",)
    search_fields = ("actor", "object_name")
