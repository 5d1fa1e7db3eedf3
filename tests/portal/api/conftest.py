"""People of two workspaces, and a world of objects."""

from collections.abc import Iterator

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.people import People, make_people
from tests.portal.api.world import World, make_world


@pytest.fixture
def people(db: None) -> People:
    """Owner, teammate, outsider, admin."""
    return make_people()


@pytest.fixture
def world(people: People) -> World:
    """An object of every resource."""
    return make_world(people)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests through WSGI use the test's connection: none of them closes it, as in Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
