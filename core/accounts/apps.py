"""Django's description of the app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Workspaces, members, API keys."""

    name = "core.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
