"""What the tests of rules and alerts share: a fixed clock, an author, changed settings."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User

from alerts.rules.defaults import ensure_defaults

NOW = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)


@pytest.fixture
def author(db: None) -> User:
    """Somebody who edits rules."""
    return User.objects.create_user("ada", password="x")


@pytest.fixture
def default_rules(db: None) -> None:
    """The rules that a migration brings; also after a test that emptied every table."""
    ensure_defaults(apps.get_model)


@pytest.fixture
def portal_setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings of the portal for one test."""

    def change(**values: Any) -> None:
        monkeypatch.setattr(settings, "PORTAL", dataclasses.replace(settings.PORTAL, **values))

    return change
