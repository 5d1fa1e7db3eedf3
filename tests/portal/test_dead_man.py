"""The dead man's switch is called while rules are evaluated in time, and only then."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from alerts.models import RuleGroup
from portal.dead_man import say_alive
from tests.alerts.conftest import portal_setting as portal_setting
from tests.alerts.scripted_rules import make_rule
from tests.servers import Answer, HttpServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def switch(http_server: HttpServer, portal_setting: Callable[..., None]) -> HttpServer:
    """The service outside."""
    portal_setting(dead_man_url=f"{http_server.url}/ping/secret")
    return http_server


def test_it_is_called_while_rules_are_evaluated_in_time(switch: HttpServer) -> None:
    now = timezone.now()
    make_rule()
    RuleGroup.objects.update(evaluated_until=now)
    assert say_alive(now)
    assert [(one.method, one.path) for one in switch.requests] == [("POST", "/ping/secret")]


def test_it_is_not_called_while_a_group_stands_still(switch: HttpServer) -> None:
    now = timezone.now()
    make_rule()
    RuleGroup.objects.update(evaluated_until=now - dt.timedelta(minutes=10))
    assert not say_alive(now)
    assert switch.requests == []


def test_an_answer_that_is_an_error_is_no_call_and_raises_nothing(switch: HttpServer) -> None:
    RuleGroup.objects.update(evaluated_until=timezone.now())
    switch.default = Answer(status=500)
    assert not say_alive(timezone.now())


def test_without_an_address_nothing_is_called(http_server: HttpServer) -> None:
    assert not say_alive(timezone.now())
    assert http_server.requests == []
