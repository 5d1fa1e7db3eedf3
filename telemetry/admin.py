"""Django's admin of saved views."""

from __future__ import annotations

from django.contrib import admin

from core.audit.admin import AuditedAdmin
from telemetry.models import SavedView


@admin.register(SavedView)
class SavedViewAdmin(AuditedAdmin):
    """Searches that workspaces share."""

    list_display = ("name", "page", "workspace", "query")
    list_filter = ("page",)
    list_select_related = ("workspace",)
