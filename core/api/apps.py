"""Django's description of the app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The REST API's own tables."""

    name = "core.api"
    label = "api"
    default_auto_field = "django.db.models.BigAutoField"
