"""Settings: how is this set up? Every setting with its value and where that comes from, health, versions, sizes."""

from __future__ import annotations

import dataclasses
import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from alerts.canary.figure import delay_figure
from core.accounts import permissions
from portal.env import Config, env_name
from portal.health import Memory, readiness
from usage.store import retention

LIBRARIES = ("django", "celery", "psycopg", "numpy", "genai-prices", "plotly", "granian")
MEMORY = Memory()


@dataclass(frozen=True)
class Setting:
    """One setting as the page shows it: a secret's value is only whether it is set."""

    name: str
    section: str
    value: str
    unit: str
    source: str
    doc: str
    is_default: bool


def shown_settings(config: Config, environ: Mapping[str, str]) -> list[Setting]:
    """Every field of the configuration, in its order."""
    found = []
    for f in dataclasses.fields(Config):
        name, meta, value = env_name(f), f.metadata, getattr(config, f.name)
        source = name if environ.get(name) else f"{name}_FILE" if environ.get(f"{name}_FILE") else ""
        text = ("set" if value else "not set") if meta["secret"] else setting_text(value, meta["unit"])
        found.append(Setting(name, meta["section"], text, meta["unit"], source, meta["doc"], not source))
    return found


def setting_text(value: Any, unit: str) -> str:
    """A value as the environment would have it; amounts (with a unit) have their thousands apart."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if unit else str(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def versions() -> list[tuple[str, str]]:
    """Of the portal, Python, Postgres, and what it is built on."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgres,) = cursor.fetchone()
    own = [("portal", str(project["version"])), ("Python", platform.python_version()), ("Postgres", str(postgres))]
    return own + [(name, version(name)) for name in LIBRARIES]


@permissions.operator_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The settings page."""
    found = shown_settings(settings.PORTAL, os.environ)
    sizes = retention.sizes()
    context = {
        "sections": [(name, list(members)) for name, members in groupby(found, key=lambda one: one.section)],
        "changed": sum(not one.is_default for one in found),
        "checks": readiness(MEMORY, timezone.now()),
        "canary": delay_figure(timezone.now()) if settings.PORTAL.canary_minutes else None,
        "versions": versions(),
        "sizes": sorted(sizes, key=lambda size: -size[1]),
        "total_size": sum(size for _, size in sizes),
    }
    return render(request, "portal/settings.html", context)
