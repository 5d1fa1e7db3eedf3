"""What a client asks to learn whom it talks to."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from portal.promapi import responses
from portal.promapi.caller import workspaces_of

# Clients choose features by this version: the one whose language the engine speaks.
SPEAKS = "3.0.0"
STARTED = timezone.now()


@responses.endpoint("GET")
def buildinfo(request: HttpRequest) -> dict[str, str]:
    """The Prometheus version whose API and language this is. Open, as Grafana asks it before it has a key."""
    return {
        "version": SPEAKS,
        "revision": "llm-usage-portal",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
    }


@responses.endpoint("GET")
def runtimeinfo(request: HttpRequest) -> dict[str, Any]:
    """What of Prometheus's runtime information has a meaning here."""
    workspaces_of(request)
    return {
        "startTime": STARTED.isoformat(),
        "CWD": "",
        "reloadConfigSuccess": True,
        "lastConfigTime": STARTED.isoformat(),
        "corruptionCount": 0,
        "serverTime": timezone.now().isoformat(),
        "storageRetention": f"{settings.PORTAL.retention_1h_days}d",
        "hostname": platform.node(),
        "django": version("django"),
    }


@responses.endpoint("GET")
def targets(request: HttpRequest) -> dict[str, Any]:
    """Scrape targets: none, as records are sent to the portal."""
    workspaces_of(request)
    return {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}
