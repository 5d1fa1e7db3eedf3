"""What the tests of Explore share: calls of two models in the last minutes, and three people."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.people import People, make_people
from tests.records import Sender, call


@pytest.fixture
def people(sender: Sender) -> People:
    """Three people; production has calls of two models."""
    now = timezone.now()
    ago = [now - timedelta(seconds=20 * place + 30) for place in range(12)]
    records = [call(at=at, model=model) for at in ago for model in ("gpt-4o", "claude")]
    assert sender.post(records).json()["rejected"] == []
    return make_people()
