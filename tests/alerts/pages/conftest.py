"""The people, and a rule of those that ship."""

import pytest

from alerts.models import Rule
from tests.people import People, make_platform_people


@pytest.fixture
def people() -> People:
    return make_platform_people()


@pytest.fixture
def rule(default_rules: None) -> Rule:
    return Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
