"""Django's admin of accounts."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest

from core.accounts.models import ApiKey, Membership, Workspace
from core.audit.admin import AuditedAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin):
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
class WorkspaceAdmin(AuditedAdmin):
    """Tenants. One with records is not deleted: they would stay without it."""

    list_display = ("slug", "name", "created_at")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    """Who may do what where."""

    list_display = ("user", "workspace", "role")
    list_editable = ("role",)
    list_filter = ("workspace", "role")
    list_select_related = ("user", "workspace")


admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """Accounts, as on the page People."""
