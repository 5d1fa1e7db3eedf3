"""Numpy columns as Postgres arrays in their binary form: no number is written as text and read again."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_length = struct.Struct(">i").pack


@dataclass(frozen=True)
class PostgresArray:
    """The value of an array parameter; none of its elements is NULL."""

    data: bytes
    element: ClassVar[int] = 0  # the oid of the elements' type
    array: ClassVar[int] = 0  # and of the array's


class Float8(PostgresArray):
    """double precision[]"""

    element, array = 701, 1022


class Int8(PostgresArray):
    """bigint[]"""

    element, array = 20, 1016


class Uuid(PostgresArray):
    """uuid[]"""

    element, array = 2950, 2951


class Text(PostgresArray):
    """text[]"""

    element, array = 25, 1009


class Composite(PostgresArray):
    """Rows of some composite type (see core.pg.composites)."""


def float8(values: npt.ArrayLike) -> Float8:
    """Numbers as double precision[]."""
    return Float8(_cells(np.asarray(values), ">f8", Float8.element))


def int8(values: npt.ArrayLike) -> Int8:
    """Whole numbers as bigint[]."""
    return Int8(_cells(np.asarray(values), ">i8", Int8.element))


def uuids(data: bytes) -> Uuid:
    """Ids of 16 bytes, one after another, as uuid[]."""
    return Uuid(_cells(np.frombuffer(data, dtype="V16"), "V16", Uuid.element))


def texts(values: Sequence[str]) -> Text:
    """Texts as text[]."""
    joined = "".join(values).encode()
    if joined and len(joined) == len(values[0]) * len(values) and len({*map(len, values)}) == 1:
        width = f"V{len(values[0])}"  # ASCII of one length, such as trace ids
        return Text(_cells(np.frombuffer(joined, dtype=width), width, Text.element))
    encoded = [value.encode() for value in values]
    cells = b"".join(part for one in encoded for part in (_length(len(one)), one))
    return Text(array_header(len(values), Text.element) + cells)


def _cells(values: npt.NDArray[Any], kind: str, element: int) -> bytes:
    """An array of elements of one size: header, then the length and the bytes of each. See array_recv in Postgres."""
    cells = np.empty(len(values), dtype=[("length", ">i4"), ("value", kind)])
    cells["length"] = cells.dtype["value"].itemsize
    cells["value"] = values
    return array_header(len(values), element) + cells.tobytes()


def array_header(length: int, element: int) -> bytes:
    """One dimension counted from 1, no NULL among the elements; an empty array has no dimension."""
    return struct.pack(">iiiii", 1, 0, element, length, 1) if length else struct.pack(">iii", 0, 0, element)


class _Dumper(Dumper):
    """Sends a PostgresArray as it is."""

    format = Format.BINARY

    def dump(self, obj: PostgresArray) -> Buffer:
        return obj.data


_DUMPERS = {
    kind: type(f"{kind.__name__}Dumper", (_Dumper,), {"oid": kind.array})
    for kind in (Float8, Int8, Text, Uuid, Composite)
}


def register(connection: Any) -> None:
    """Let a psycopg connection send these arrays."""
    for kind, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(kind, dumper)
