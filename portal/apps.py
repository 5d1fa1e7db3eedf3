"""Django's description of the app."""

from django.apps import AppConfig

from portal.celery import app


class PortalConfig(AppConfig):
    """The project itself: processes, schedule, health, sign-in."""

    name = "portal"
    default_auto_field = "django.db.models.BigAutoField"
    celery = app  # loaded with Django, so that every task is bound to it
