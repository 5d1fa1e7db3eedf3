"""Requests that the live server has begun and not yet answered.

A browser that is closed leaves requests behind, which the server's threads still answer. A table that one of them reads
cannot be emptied without a deadlock, so whoever empties tables waits for them first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.servers import wait_until

Application = Callable[..., Iterable[bytes]]


class InFlight:
    """How many requests have begun and not ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """One more while this is open."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def wait(self, seconds: float = 30) -> None:
        """Return when every request has ended; AssertionError after that many seconds."""
        wait_until(lambda: self._count == 0, seconds, "the end of all requests")

    def count(self, application: Application) -> Application:
        """The WSGI application with its requests counted, from the first byte to the last."""

        def counted(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            with self.request():
                answer = application(environ, start_response)
                try:
                    yield from answer
                finally:
                    with suppress(AttributeError):
                        answer.close()  # type: ignore[attr-defined]  # WSGI: called where there is one

        return counted


REQUESTS = InFlight()
