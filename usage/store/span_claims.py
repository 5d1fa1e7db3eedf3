"""Records and spans that describe one call: a usage record of the same trace, span and kind as a span that has been
counted is a duplicate, and the other way round. Records of one span among themselves are distinguished by their event
ids only.

A claim is a row of `usage_span_seen`; `usage_store` makes and looks for claims in the transaction that stores.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import numpy as np

from core.pg.arrays import float8, uuids
from usage.records.columns import Columns

# OpenTelemetry's ids; others name no span.
_TRACE, _SPAN = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")


def claim_of(workspace_id: int, trace_id: str, span_id: str, kind: str) -> bytes:
    """16 bytes that stand for what is counted of a span."""
    return blake2b(f"{workspace_id}/{trace_id}/{span_id}/{kind}".encode(), digest_size=16).digest()


def arrays_of(columns: Columns, workspace_id: int) -> dict[str, Any]:
    """The claims of the records among the rows, ascending, with the event of each and its time."""
    found: list[tuple[bytes, bytes, float]] = []
    if any(columns.span_ids):
        for row in range(len(columns) - columns.ghosts):
            trace_id, span_id = columns.trace_ids[row].lower(), columns.span_ids[row].lower()
            if span_id and _SPAN.fullmatch(span_id) and _TRACE.fullmatch(trace_id):
                kind = columns.keys[columns.key_of[row]][0]
                claim = claim_of(workspace_id, trace_id, span_id, kind)
                found.append((claim, columns.event_ids[row], float(columns.at[row])))
    found.sort()
    return {
        "span_claims": uuids(b"".join(claim for claim, _, _ in found)),
        "claim_events": uuids(b"".join(event for _, event, _ in found)),
        "claim_times": float8(np.array([at for _, _, at in found], dtype=np.float64)),
    }
