"""4 store, the raw rows: records as the array parameters of `usage_store`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from core.pg.arrays import PostgresArray, float8, int8, texts, uuids
from promql.values import Floats
from usage.records.columns import NUMBERS, Columns, DimensionKey
from usage.store import dimensions


def arrays_of(columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]) -> dict[str, PostgresArray]:
    """The columns of the records among the rows, by ascending event."""
    events = columns.event_ids
    order = sorted(range(len(columns) - columns.ghosts), key=events.__getitem__)
    key_of = columns.key_of[order]
    owners = [interned[key] for key in columns.keys]
    overflows = [overflow(key) if one.overflow else "" for key, one in zip(columns.keys, owners, strict=True)]
    return {
        "events": uuids(b"".join([events[row] for row in order])),
        "times": float8(columns.at[order]),
        "dimensions": int8(np.array([one.id for one in owners], dtype=np.int64)[key_of]),
        "traces": sparse_texts(columns.trace_ids, order),
        "spans": sparse_texts(columns.span_ids, order),
        **{name: numbers(columns.numbers[name][order]) for name in NUMBERS},
        "sources": texts(columns.price_sources),
        "source_places": int8(columns.source_of[order] + 1),
        "attributes": sparse_texts(columns.attributes, order),
        "overflows": texts(overflows if any(overflows) else []),
        "overflow_places": int8(key_of + 1),
    }


def numbers(values: Floats) -> PostgresArray:
    """Numbers, NaN for absent ones; none at all where all are absent."""
    return float8([] if np.isnan(values).all() else values)


def sparse_texts(values: Sequence[str], order: Sequence[int]) -> PostgresArray:
    """Texts, "" for absent ones; none at all where all are absent."""
    return texts([values[row] for row in order] if any(values) else [])


def overflow(key: DimensionKey) -> str:
    """A record's own labels as JSON, where its dimension is an overflow one."""
    return msgspec.json.encode(dimensions.labels_of(key)).decode()
