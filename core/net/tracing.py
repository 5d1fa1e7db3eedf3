"""Spans of the portal's own work, and the trace context of what it sends.

By default the portal is not traced: nothing of OpenTelemetry is imported then, and a span is a call that does nothing.
`portal.tracing` sets the tracer where the environment asks for one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float | bool
_NOTHING = nullcontext()


class Tracer(Protocol):
    """Who makes spans. One that an exception leaves is an error, and carries it as an event."""

    def span(self, name: str, attributes: dict[str, Value], client: bool) -> AbstractContextManager[object]:
        """A span around a block, a child of the current one."""

    def statement(self, text: str) -> AbstractContextManager[object]:
        """A span around a statement that Postgres is asked."""

    def context_headers(self) -> dict[str, str]:
        """The current span as W3C trace context: `traceparent`, and `tracestate` if there is one."""


class _Current:
    tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on spans are made by `tracer`; None ends that."""
    _Current.tracer = tracer


def span(name: str, *, client: bool = False, **attributes: Value) -> AbstractContextManager[object]:
    """A span around a block. `client` says that it asks another service. Attributes are called `portal.<name>`."""
    if _Current.tracer is None:
        return _NOTHING
    return _Current.tracer.span(name, {f"portal.{key}": value for key, value in attributes.items()}, client)


def statement(text: str) -> AbstractContextManager[object]:
    """A span around a statement, whose values are not in `text`. Those of Django's own cursors have theirs already."""
    return _NOTHING if _Current.tracer is None else _Current.tracer.statement(text)


def context_headers() -> dict[str, str]:
    """The headers that carry the current span to whoever is asked next; none while the portal is not traced."""
    return {} if _Current.tracer is None else _Current.tracer.context_headers()
