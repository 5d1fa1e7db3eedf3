"""What is kept of attributes: long texts are cut, content is dropped or masked."""

from __future__ import annotations

from django.conf import settings

from telemetry.conventions import content
from telemetry.otlp.signals import Attributes


def kept(found: Attributes) -> Attributes:
    """What is kept of content: nothing, or all of it with secrets masked."""
    config = settings.PORTAL
    if config.telemetry_content != "store" or not found:
        return {}
    return {name: content.masked(value, config.telemetry_mask) for name, value in bounded(found).items()}


def bounded(given: Attributes) -> Attributes:
    """Attributes with long texts cut."""
    most = settings.PORTAL.attributes_max_bytes
    if all(len(value) <= most for value in given.values() if isinstance(value, str)):
        return given
    return {
        name: value[:most] + "…" if isinstance(value, str) and len(value) > most else value
        for name, value in given.items()
    }
