"""Django's description of the app."""

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from core.pg import arrays


def _adapt(connection: Any, **_: Any) -> None:
    arrays.register(connection.connection)


class UsageConfig(AppConfig):
    """Records in, Postgres, series out."""

    name = "usage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Every connection learns to send numpy columns."""
        connection_created.connect(_adapt, dispatch_uid="core.pg.arrays")
