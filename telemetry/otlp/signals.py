"""What a body of OTLP says, whatever form it came in: spans, data points and log records as plain Python values."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from core.pg.text import storable

# What an attribute may be: a scalar, a list or a mapping of these; None where the client sent an empty value.
Value = Any
Attributes = dict[str, Value]
INT64 = 1 << 63
# The highest numbers of the enumerations.
MAX_KIND, MAX_STATUS, MAX_SEVERITY = 5, 2, 24
MAX_SERVICE = 200  # characters of a service's name
MAX_EVENTS = 128  # of one span, and as many links: what OpenTelemetry's SDKs bound them to


class Unreadable(ValueError):
    """The body is not what its Content-Type says."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """What sent something: the resource's attributes and the instrumentation scope's name."""

    resource: Attributes
    scope: str

    @property
    def service(self) -> str:
        """The service's name, as Postgres can keep it; empty where the resource has none."""
        return storable(text_of(self.resource.get("service.name")))[:MAX_SERVICE]


class Event(msgspec.Struct, gc=False):
    """An event of a span; `time` in nanoseconds since the Unix epoch."""

    name: str
    time: int
    attributes: Attributes


class Link(msgspec.Struct, gc=False):
    """A link to another span."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes


class RawSpan(msgspec.Struct, gc=False):
    """A span as it arrived; times in nanoseconds since the Unix epoch, ids of 16 and 8 bytes (of any length until they
    are checked)."""

    source: Source
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start: int
    end: int
    status: int
    message: str
    attributes: Attributes
    events: list[Event]
    links: list[Link]


class RawLog(msgspec.Struct, gc=False):
    """A log record as it arrived; times in nanoseconds since the Unix epoch, 0 where unknown."""

    source: Source
    time: int
    observed: int
    severity: int
    severity_text: str
    event_name: str
    body: Value
    attributes: Attributes
    trace_id: bytes
    span_id: bytes


class Point(msgspec.Struct, gc=False):
    """A data point of a metric that counts: `count` of a histogram (None for a sum) and its `total`; times in
    nanoseconds."""

    attributes: Attributes
    start: int
    time: int
    count: int | None
    total: float


class RawMetric(msgspec.Struct, gc=False):
    """A metric that counts, sums and histograms; gauges and summaries are not read. `cumulative` says its
    temporality."""

    source: Source
    name: str
    unit: str
    cumulative: bool
    points: list[Point]


def text_of(value: Value) -> str:
    """An attribute that should be a text, as one; empty for what has no short text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def number_of(value: Value) -> int | None:
    """An attribute that should count something: a whole number from 0 on, also as a text or a float; else None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        return None
    return int(value)


def amount_of(value: Value) -> float | None:
    """An attribute that should be an amount from 0 on, also as a text; else None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def int64(value: int | str | None) -> int:
    """A whole number of OTLP/JSON, which may be a text; what 64 bits cannot hold becomes 0. Raises ValueError."""
    number = int(value or 0)
    return number if -INT64 <= number < 2 * INT64 else 0


def enum_of(value: int | None, highest: int) -> int:
    """A number of an enumeration; one that it does not have, which newer clients may send, becomes 0 (unspecified)."""
    return value if value is not None and 0 <= value <= highest else 0
