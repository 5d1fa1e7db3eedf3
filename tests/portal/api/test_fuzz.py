"""Schemathesis sends what the schema allows, and what it does not: no answer is a 5xx, and every answer is as
declared."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.exports.openapi import schema as made
from tests.people import People
from tests.portal.api.world import World, key_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA: Any = schemathesis.openapi.from_dict(made())
SCHEMA.app = get_wsgi_application()
OPERATIONS = {operation.ok().label: operation.ok() for operation in SCHEMA.get_all_operations()}


@pytest.fixture
def key(people: People, world: World, one_connection: None) -> str:
    """A key that may do everything in `production`."""
    return key_of(people.production, "ingest", "query", "admin", "backfill")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_declared(label: str, mode: GenerationMode, key: str, world: World) -> None:
    place = world.places.get(label.split("/")[3])

    @settings(
        max_examples=4 if mode is GenerationMode.POSITIVE else 2,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def tried(case: Any) -> None:
        if place is not None:
            names = case.path_parameters or {}
            case.path_parameters = {name: "coverage" if name == "panel" else str(place) for name in names}
        with transaction.atomic():
            response = case.call(headers={"Authorization": f"Bearer {key}"})
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    # An operation without a parameter has nothing to be wrong.
    with suppress(Unsatisfiable):
        tried()
