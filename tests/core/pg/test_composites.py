"""Rows as an array of a composite type."""

import numpy as np
import pytest
from django.db import ProgrammingError, connection

from core.pg.composites import composites
from core.pg.statements import prepared

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kind() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TYPE reading AS (id uuid, place bigint, value double precision)")


def test_rows_are_had_back_as_they_were() -> None:
    ids = np.frombuffer(bytes(range(32)), dtype="V16")
    rows = composites("reading", {"id": ids, "place": [-1, 2**62], "value": [0.1, np.inf]})
    found = prepared("SELECT json_agg(r) FROM unnest(%(rows)s::reading[]) AS r", {"rows": rows})
    assert found == (
        [
            {"id": "00010203-0405-0607-0809-0a0b0c0d0e0f", "place": -1, "value": 0.1},
            {"id": "10111213-1415-1617-1819-1a1b1c1d1e1f", "place": 2**62, "value": "Infinity"},
        ],
    )


def test_no_rows_are_an_empty_array() -> None:
    rows = composites("reading", dict.fromkeys(("id", "place", "value"), ()))
    assert prepared("SELECT cardinality(%(rows)s::reading[])", {"rows": rows}) == (0,)


def test_a_type_that_is_not_there_is_said() -> None:
    with pytest.raises(ProgrammingError, match="there is no composite type nothing"):
        composites("nothing", {})
