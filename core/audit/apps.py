"""Django's description of the app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit log."""

    name = "core.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"
