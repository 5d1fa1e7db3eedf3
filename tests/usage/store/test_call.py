"""What the writer hands to `usage_store`, and what the function takes."""

import pytest

from tests.records import rows
from usage.store.writer import Call, Receipt

pytestmark = pytest.mark.django_db


def test_the_call_has_the_function_s_arguments() -> None:
    [(names, modes)] = rows("SELECT proargnames, proargmodes::text[] FROM pg_proc WHERE proname = 'usage_store'")
    taken = {name for name, mode in zip(names, modes, strict=True) if mode == "i"}
    assert taken == {*Call._fields, "receipt"}


def test_the_receipt_has_the_fields_of_its_type_in_their_order() -> None:
    [(fields,)] = rows(
        "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = 'usage_batch_receipt'::regclass"
    )
    assert tuple(fields) == Receipt._fields
