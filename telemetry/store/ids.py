"""Trace and span ids: hex for people and clients, uuid and bigint in Postgres."""

from __future__ import annotations

import re
import uuid

_TRACE, _SPAN = re.compile("[0-9a-fA-F]{32}"), re.compile("[0-9a-fA-F]{16}")
_SIGN, _ALL = 1 << 63, 1 << 64


def trace_uuid(trace_id: str) -> uuid.UUID:
    """A trace id of 32 hex digits as Postgres keeps it. Raises ValueError for anything else."""
    if not _TRACE.fullmatch(trace_id):
        raise ValueError("a trace id has 32 hexadecimal digits")
    return uuid.UUID(hex=trace_id)


def is_trace_id(text: str) -> bool:
    """Whether it is a trace id in hex."""
    return bool(_TRACE.fullmatch(text))


def span_number(span_id: str) -> int:
    """A span id of 16 hex digits as Postgres keeps it. Raises ValueError for anything else."""
    if not _SPAN.fullmatch(span_id):
        raise ValueError("a span id has 16 hexadecimal digits")
    number = int(span_id, 16)
    return number - _ALL if number & _SIGN else number


def span_hex(number: int | None) -> str:
    """A span id in hex; empty for none."""
    return "" if number is None else f"{number % _ALL:016x}"
