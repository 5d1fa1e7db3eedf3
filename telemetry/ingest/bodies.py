"""Bodies in: from bytes to an answer, whatever signal and form.

A body is decoded and stored; where storing fails what it says goes to the spool, like a batch of records, without the
content that is dropped on arrival. `take` is the one entrance, for HTTP and gRPC alike.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from core.accounts.keys import Caller
from core.net.tracing import span
from core.pg.breaker import breaker
from telemetry.ingest import forward, logs, metrics, spans
from telemetry.ingest.refused import Refused
from telemetry.otlp import litellm, otlp_json, protobuf
from telemetry.otlp.signals import RawLog, RawMetric, RawSpan
from usage.ingest import forms, node, refused, spool
from usage.ingest.body import TooLarge
from usage.ingest.pipeline import failure_of, log_failure
from usage.ingest.spool import Header
from usage.store import missing
from usage.store.missing import Events
from usage.store.writer import Stored


@dataclass(frozen=True)
class Signal:
    """A kind of things that arrive: what they are (`type`, a list), how they are stored (raises what storing raises),
    which of them would be refused, they without content, and the usage events that they are."""

    name: str
    type: Any
    store: Callable[[Sequence[Any], Header], tuple[Stored, Refused]]
    refused: Callable[[Sequence[Any], Header], Refused]
    without_content: Callable[[Sequence[Any]], Sequence[Any]]
    events: Callable[[Sequence[Any], Header], Events]

    def restore(self, header: Header, body: bytes) -> Stored:
        """Store a spooled body. Raises what storing raises."""
        return self.store(msgspec.msgpack.decode(body, type=self.type), header)[0]

    def events_of(self, header: Header, body: bytes) -> Events:
        """The usage events of a spooled body, missing while it is not stored."""
        return self.events(msgspec.msgpack.decode(body, type=self.type), header)

    def shown(self, body: bytes) -> Sequence[bytes]:
        """A spooled body's parts for a person to look at."""
        return [msgspec.json.encode(one) for one in msgspec.msgpack.decode(body, type=self.type)]


@dataclass(frozen=True)
class Answer:
    """What became of a body: how many of its spans, points or records were refused, and why. `spooled`: it is durable
    on disk only."""

    refused: int
    message: str
    spooled: bool = False


def no_events(raws: Sequence[Any], header: Header) -> Events:
    """Logs are no usage, and what metrics count is known only beside what they said before."""
    return {}


SPANS = Signal("spans", list[RawSpan], spans.store, spans.refused, spans.without_content, spans.events)
LOGS = Signal("logs", list[RawLog], logs.store, logs.refused, logs.without_content, no_events)
METRICS = Signal("metrics", list[RawMetric], metrics.store, metrics.refused, metrics.without_content, no_events)
SIGNALS = (SPANS, METRICS, LOGS)
# Each form of body: the signal, and how it is read (raises Unreadable).
READERS: dict[str, tuple[Signal, Callable[[bytes], Sequence[Any]]]] = {
    "traces.protobuf": (SPANS, protobuf.spans),
    "traces.json": (SPANS, otlp_json.spans),
    "metrics.protobuf": (METRICS, protobuf.metrics),
    "metrics.json": (METRICS, otlp_json.metrics),
    "logs.protobuf": (LOGS, protobuf.logs),
    "logs.json": (LOGS, otlp_json.logs),
    "litellm.json": (SPANS, litellm.spans),
}


def take(form: str, body: bytes, caller: Caller, received_at: float) -> Answer:
    """Store a body of a form (one of READERS) for a caller, or spool it; it is durable once this returns.

    Raises Unreadable for what is not of the form, TooLarge, or spool.SpoolFull where nothing could be made durable.
    """
    signal, read = READERS[form]
    raws = read(body)
    if len(raws) > settings.PORTAL.batch_max_records:
        raise TooLarge(f"more than {settings.PORTAL.batch_max_records} in one request; send smaller batches")
    if not raws:
        return Answer(0, "")
    before = refused.take(body, caller.workspace_id)
    header = Header(
        before or uuid.uuid4(),
        caller.key_id,
        caller.workspace_id,
        caller.workspace,
        "backfill" in caller.scopes,
        received_at,
        len(raws),
        len(body),
        form=signal.name,
    )
    started = time.monotonic()
    try:
        with span("ingest", workspace=caller.workspace, form=form, records=len(raws)):
            breaker.check()
            _, bad = signal.store(raws, header)
            if before is not None:
                missing.take_back(before)
    except Exception as error:  # what can be read is accepted: it must not be lost to a fault of ours
        failure = failure_of(error, time.monotonic() - started)
        log_failure(header, error, "spooled")
        node.count(failure[0])
        try:
            answer = spooled(signal, read(body), msgspec.structs.replace(header, failures=(failure,)))
        except spool.SpoolFull as full:
            log_failure(header, full, "answered 503")
            node.count(node.REFUSED)
            refused.keep(body, header, signal.events(read(body), header))
            raise
    else:
        answer = Answer(bad.count, bad.message)
    forward.keep(form, body)
    return answer


def spooled(signal: Signal, raws: Sequence[Any], header: Header) -> Answer:
    """Make what arrived durable on disk. Raises spool.SpoolFull."""
    if settings.PORTAL.telemetry_content != "store":
        raws = signal.without_content(raws)
    spool.put(header, msgspec.msgpack.encode(raws))
    bad = signal.refused(raws, header)
    return Answer(bad.count, bad.message, spooled=True)


for one in SIGNALS:
    forms.register(forms.Form(one.name, one.restore, one.shown, one.events_of))
