"""Records and spans that describe one call: a usage record of the same trace, span and kind as a span that has been
counted is a duplicate, and the other way round. Records of one span among themselves are distinguished by their event
ids only.

A claim is a row of `usage_span_seen`; `usage_store` makes and looks for claims in the transaction that stores.
"""

from __future__ import annotations

import re
from hashlib import blake2b

import numpy as np

from core.pg.arrays import Composite
from core.pg.composites import composites
from usage.records.columns import Columns

# OpenTelemetry's ids; others name no span.
_TRACE, _SPAN = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")


def claim_of(workspace_id: int, trace_id: str, span_id: str, kind: str) -> bytes:
    """16 bytes that stand for what is counted of a span."""
    return blake2b(f"{workspace_id}/{trace_id}/{span_id}/{kind}".encode(), digest_size=16).digest()


def claims_of(columns: Columns, workspace_id: int) -> Composite:
    """The claims of the records among the rows (usage_batch_claim), ascending."""
    found: list[tuple[bytes, bytes, float]] = []
    if any(columns.span_ids):
        for row in range(len(columns) - columns.ghosts):
            trace_id, span_id = columns.trace_ids[row].lower(), columns.span_ids[row].lower()
            if span_id and _SPAN.fullmatch(span_id) and _TRACE.fullmatch(trace_id):
                kind = columns.keys[columns.key_of[row]][0]
                claim = claim_of(workspace_id, trace_id, span_id, kind)
                found.append((claim, columns.event_ids[row], float(columns.at[row])))
    found.sort()
    claims, events, times = zip(*found, strict=True) if found else ((), (), ())
    rows = {
        "claim": np.frombuffer(b"".join(claims), dtype="V16"),
        "event": np.frombuffer(b"".join(events), dtype="V16"),
        "at": np.array(times, dtype=np.float64),
    }
    return composites("usage_batch_claim", rows)
