"""Django's description of the app."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    """OpenTelemetry in."""

    name = "telemetry"
    default_auto_field = "django.db.models.BigAutoField"
