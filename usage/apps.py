"""Django's description of the app."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    """Records in, Postgres, series out."""

    name = "usage"
    default_auto_field = "django.db.models.BigAutoField"
