"""Decides whether this process is traced. The SDK is only imported where it is, so that tracing costs nothing while it
is off."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from django.conf import settings

SERVICE, SHARE = "llm-usage-portal", "0.1"


def is_asked_for() -> bool:
    """Whether a receiver is named, and nothing switches tracing off."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and bool(settings.PORTAL.otel_endpoint or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def start_tracing(**_: Any) -> None:
    """Trace this process from now on, if the environment asks for it. Called after a fork, as threads do not come
    along."""
    if is_asked_for():
        fill_environment()
        import_module("portal.tracing.sdk").start()


def finish_tracing(**_: Any) -> None:
    """Send what is still waiting, before the process ends."""
    if is_asked_for():
        import_module("portal.tracing.sdk").finish()


def fill_environment() -> None:
    """Put our defaults, and what is a setting of the portal, where the SDK looks for it: its own variables."""
    config = settings.PORTAL
    defaults = {"OTEL_EXPORTER_OTLP_ENDPOINT": config.otel_endpoint, "OTEL_EXPORTER_OTLP_HEADERS": config.otel_headers}
    if not os.environ.get("OTEL_TRACES_SAMPLER"):
        defaults |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": SHARE}
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        defaults["OTEL_SERVICE_NAME"] = SERVICE
    for name, value in defaults.items():
        if value and not os.environ.get(name):
            os.environ[name] = value
