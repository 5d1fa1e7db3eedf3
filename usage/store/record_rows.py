"""4 store, the raw rows: records as `usage_store` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from core.pg.arrays import Composite, Text, texts
from core.pg.composites import composites
from usage.records.columns import NUMBERS, Columns, DimensionKey
from usage.store import dimensions


class Records(NamedTuple):
    """Records (usage_batch_record), their texts, and the distinct texts that several may share."""

    records: Composite
    traces: Text
    spans: Text
    attributes: Text
    sources: Text
    overflows: Text


def records_of(columns: Columns, interned: Mapping[DimensionKey, dimensions.Interned]) -> Records:
    """The records among the rows, by ascending event."""
    events = columns.event_ids
    order = sorted(range(len(columns) - columns.ghosts), key=events.__getitem__)
    key_of = columns.key_of[order]
    owners = [interned[key] for key in columns.keys]
    overflows = [overflow(key) if one.overflow else "" for key, one in zip(columns.keys, owners, strict=True)]
    rows = {
        "event": np.frombuffer(b"".join([events[row] for row in order]), dtype="V16"),
        "at": columns.at[order],
        "dimension": np.array([one.id for one in owners], dtype=np.int64)[key_of],
        **{name: columns.numbers[name][order] for name in NUMBERS},
        "source": columns.source_of[order] + 1,
        "overflow": key_of + 1,
    }
    return Records(
        composites("usage_batch_record", rows),
        sparse_texts(columns.trace_ids, order),
        sparse_texts(columns.span_ids, order),
        sparse_texts(columns.attributes, order),
        texts(columns.price_sources),
        texts(overflows if any(overflows) else []),
    )


def sparse_texts(values: Sequence[str], order: Sequence[int]) -> Text:
    """Texts, "" for absent ones; none at all where all are absent."""
    return texts([values[row] for row in order] if any(values) else [])


def overflow(key: DimensionKey) -> str:
    """A record's own labels as JSON, where its dimension is an overflow one."""
    return msgspec.json.encode(dimensions.labels_of(key)).decode()
