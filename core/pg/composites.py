"""Rows of numbers and ids as an array of a composite type, in its binary form: a column of numpy for each field."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from django.db import ProgrammingError, connection
from psycopg.types.composite import CompositeInfo

from core.pg.arrays import Composite, Float8, Int8, Uuid, array_header

_KINDS = {Float8.element: ">f8", Int8.element: ">i8", Uuid.element: "V16"}


def composites(name: str, columns: Mapping[str, npt.ArrayLike]) -> Composite:
    """The rows whose fields are these columns, as an array of the composite type `name`; ids come as V16.

    Fields are double precision, bigint or uuid. The parameter needs a cast to the type's array, as its oid differs from
    database to database. Raises django.db.ProgrammingError where there is no such type.
    """
    info = _info(name)
    fields = [np.asarray(columns[field]) for field in info.field_names]
    rows = np.repeat(_blank_row(tuple(info.field_types)), len(fields[0]))
    for place, values in enumerate(fields):
        rows[f"value{place}"] = values
    return Composite(array_header(len(rows), info.oid) + rows.tobytes())


def _info(name: str) -> CompositeInfo:
    """The type as the connection's database has it, looked up once per connection."""
    known = connection.connection.adapters.types
    info = known.get(name)
    if info is None:
        with connection.wrap_database_errors:
            info = CompositeInfo.fetch(connection.connection, name)
        if info is None:
            raise ProgrammingError(f"there is no composite type {name}")
        known.add(info)
    return cast(CompositeInfo, info)


@lru_cache
def _blank_row(types: tuple[int, ...]) -> npt.NDArray[Any]:
    """One row with all but its values: its length and number of fields, the oid and length of each. See record_recv."""
    header = [("length", ">i4"), ("fields", ">i4")]
    parts = [
        part
        for place, oid in enumerate(types)
        for part in ((f"oid{place}", ">i4"), (f"size{place}", ">i4"), (f"value{place}", _KINDS[oid]))
    ]
    row = np.zeros(1, dtype=[*header, *parts])
    row["length"], row["fields"] = row.dtype.itemsize - struct.calcsize(">i"), len(types)
    for place, oid in enumerate(types):
        row[f"oid{place}"], row[f"size{place}"] = oid, row.dtype[f"value{place}"].itemsize
    return row
