"""Requests that may take much of a processor and of memory: queries of any shape over any time.

In each web process a few run at once and some wait for a short time; the others are asked to come back. So a quarter of
the threads is always left to ingest. What such a request allocated is given back to the system after it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])
WAIT_SECONDS = 5.0
_MARK = "is_heavy"
# Only glibc has it.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def heavy(view: View) -> View:
    """Mark a view: the outermost of its decorators."""
    setattr(view, _MARK, True)
    return view


def is_heavy(view: Callable[..., Any]) -> bool:
    """Whether a view is marked."""
    return getattr(view, _MARK, False)


class BusyError(Exception):
    """No slot became free in time, or too many wait already."""


class Slots:
    """`running` may hold a slot at once; `inside` counts those that wait for one too, up to `seconds`."""

    def __init__(self, running: int, inside: int, seconds: float = WAIT_SECONDS) -> None:
        self._running, self._inside = BoundedSemaphore(running), BoundedSemaphore(inside)
        self._seconds = seconds

    @classmethod
    def of(cls, threads: int) -> Slots:
        """Those of a web process with so many threads."""
        return cls(max(1, threads // 4), max(1, 3 * threads // 4))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot. Raises BusyError."""
        if not self._inside.acquire(blocking=False):
            raise BusyError
        try:
            if not self._running.acquire(timeout=self._seconds):
                raise BusyError
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._inside.release()


def give_back() -> None:
    """Return freed memory to the system: glibc keeps it for the process, as fragments that no later request fills."""
    if _trim is not None:
        _trim(0)
