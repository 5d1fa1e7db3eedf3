"""4 store, the raw rows: records as the data of a binary COPY, a column at a time.

Binary, because it is what Postgres reads fastest, and because no text of a client's needs escaping. A field is its length and its
bytes; NULL is the length -1. See "Binary Format" under COPY in Postgres's manual.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import msgspec
import numpy as np

from usage import dimensions
from usage.prepare import Columns, DimensionKey
from usage.records import AnyRecord, Gauge

COPY = (
    "COPY usage_record (event_id, at, received_at, receipt, key_id, dimension_id, trace_id, span_id, prompt_tokens,"
    " completion_tokens, cached_tokens, reasoning_tokens, cost_usd, price_source, duration_seconds, rate_limit_delay_seconds,"
    " value, attributes, overflow) FROM STDIN (FORMAT BINARY)"
)
FIELDS = 19
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
NULL = struct.pack(">i", -1)
EPOCH_2000 = 946_684_800  # Postgres counts microseconds from there

integer = struct.Struct(">iq").pack
real = struct.Struct(">id").pack
length = struct.Struct(">i").pack


def text(value: str) -> bytes:
    """A text's field."""
    data = value.encode()
    return length(len(data)) + data


def json_field(value: str) -> bytes:
    """A jsonb's field, NULL for ""."""
    if not value:
        return NULL
    data = value.encode()
    return length(len(data) + 1) + b"\x01" + data  # version 1 of jsonb's binary form


def times(at: Sequence[float]) -> list[bytes]:
    """The fields of points in time, given in epoch seconds."""
    rows = np.empty(len(at), dtype=[("length", ">i4"), ("value", ">i8")])
    rows["length"] = 8
    rows["value"] = np.rint((np.array(at, dtype=np.float64) - EPOCH_2000) * 1e6)
    data = rows.tobytes()
    return [data[start : start + 12] for start in range(0, len(data), 12)]


def numbers(values: Iterable[Any], pack: Callable[[int, Any], bytes]) -> list[bytes]:
    """The fields of numbers or None."""
    return [NULL if value is None else pack(8, value) for value in values]


def encode(
    columns: Columns,
    interned: dict[DimensionKey, dimensions.Interned],
    receipt: uuid.UUID,
    key_id: int,
    received_at: float,
) -> bytes:
    """The data of `COPY` for the records among the rows; empty where there are none."""
    rows = [row for row, record in enumerate(columns.records) if record is not None]
    records = [record for record in columns.records if record is not None]
    if not rows:
        return b""
    found = [interned[columns.dimensions[row]] for row in rows]
    known_ids = {one.id: integer(8, one.id) for one in found}
    known_sources = {source: text(source) for source in set(columns.price_sources)}
    sixteen = length(16)

    def of(name: str) -> list[Any]:
        return [getattr(record, name, None) for record in records]

    fields: list[Iterable[bytes]] = [
        repeat(struct.pack(">h", FIELDS)),
        [sixteen + columns.event_ids[row].bytes for row in rows],
        times([columns.at[row] for row in rows]),
        repeat(times([received_at])[0]),
        repeat(sixteen + receipt.bytes),
        repeat(integer(8, key_id)),
        [known_ids[one.id] for one in found],
        [text(record.trace_id) for record in records],
        [text(record.span_id) for record in records],
        *(
            numbers(of(name), integer)
            for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
        ),
        numbers([columns.costs[row] for row in rows], real),
        [known_sources[columns.price_sources[row]] for row in rows],
        numbers(of("duration_seconds"), real),
        numbers(of("rate_limit_delay_seconds"), real),
        numbers([gauge_value(record) for record in records], real),
        [json_field(columns.attributes[row]) for row in rows],
        [json_field(overflow_text(columns.dimensions[row], one)) for row, one in zip(rows, found, strict=True)],
    ]
    return HEADER + b"".join(chain.from_iterable(zip(*fields, strict=False))) + TRAILER


def gauge_value(record: AnyRecord) -> float | None:
    """A gauge's value; other records have none."""
    return record.value if isinstance(record, Gauge) else None


def overflow_text(key: DimensionKey, dimension: dimensions.Interned) -> str:
    """The record's own labels as JSON where its dimension is an overflow one, else ""."""
    return msgspec.json.encode(dimensions.labels_of(key)).decode() if dimension.overflow else ""
