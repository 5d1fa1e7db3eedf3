"""Django's name for this package: it has filters of templates."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "core.ui"
    label = "ui"
