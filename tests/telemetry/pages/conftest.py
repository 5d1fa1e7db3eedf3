"""What tests of the pages of traces and logs share: invented executions of the last half
hour, and somebody who looks at them."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from telemetry.samples import demo_traces
from tests.people import browser_of
from tests.records import settle_all


@pytest.fixture
def demo(tables: None) -> int:
    """Executions of the last 20 minutes; how many."""
    now = timezone.now()
    sent = demo_traces.backfill(now - timedelta(minutes=20), now, now)
    settle_all()
    return sent


@pytest.fixture
def admin(tables: None) -> Client:
    """A superuser's browser."""
    return browser_of(User.objects.create_superuser("admin"))
