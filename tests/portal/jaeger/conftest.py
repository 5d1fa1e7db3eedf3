"""Traces of the demo, and a client that asks for them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from telemetry.samples import demo_traces
from tests.portal.jaeger.client import Jaeger
from tests.records import settle_all


@pytest.fixture
def jaeger(tables: None) -> Jaeger:
    now = timezone.now()
    demo_traces.backfill(now - timedelta(minutes=10), now, now)
    settle_all()
    return Jaeger()
