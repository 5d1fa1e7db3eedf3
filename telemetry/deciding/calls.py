"""What waits: the usage that a request's spans may be, in the form of the spool, so that what can
never be stored becomes a dead letter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from usage.records.records import AnyRecord

FORM = "calls"


class Call(msgspec.Struct, array_like=True, gc=False):
    """The usage that a span may be. `expected`: it counts as far as its own request tells; `by_metrics`: its service's
    metrics had counted its time already."""

    record: AnyRecord
    expected: bool
    by_metrics: bool

    @property
    def kind(self) -> str:
        """The kind of record that it is."""
        return str(self.record.__struct_config__.tag)

    @property
    def trace_id(self) -> bytes:
        """The trace of its span."""
        return bytes.fromhex(self.record.trace_id or "")

    @property
    def span_id(self) -> int:
        """Its span, as Postgres has it."""
        return int.from_bytes(bytes.fromhex(self.record.span_id or ""), "big", signed=True)

    @property
    def event_id(self) -> bytes:
        """The usage event that it is."""
        return self.record.event_id.bytes if self.record.event_id else b""


class Calls(msgspec.Struct, array_like=True, gc=False):
    """The calls of a request, and when the first and the last of its spans began (epoch seconds)."""

    first: float
    last: float
    calls: list[Call]


_decoder = msgspec.msgpack.Decoder(Calls)


def encode(calls: Calls) -> bytes:
    """Calls as bytes."""
    return msgspec.msgpack.encode(calls)


def decode(body: bytes) -> Calls:
    """Calls from bytes. Raises msgspec.MsgspecError."""
    return _decoder.decode(body)


def shown(body: bytes) -> Sequence[bytes]:
    """The records of calls, for a person to look at."""
    return [msgspec.json.encode(one.record) for one in decode(body).calls]
