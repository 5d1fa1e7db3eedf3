"""What a process remembers of the database, so that it need not ask again. `forget_all` empties everything that was
registered here: tests begin with other ids, and so does a database that was restored."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_forgetters: list[Callable[[], None]] = []


def forget_all() -> None:
    """Empty every cache of this process."""
    for forget in _forgetters:
        forget()


def forgets(forget: Callable[[], None]) -> Callable[[], None]:
    """Let `forget_all` call this function too."""
    _forgetters.append(forget)
    return forget


class ProcessCache(Generic[K, V]):
    """A dictionary that threads share. Past `most` entries it begins anew: memory must have a bound.

    Take what is needed once and work with that: another thread may empty the cache between two looks.
    """

    def __init__(self, most: int | None = None) -> None:
        self._bound = most
        self._lock = threading.Lock()
        self._entries: dict[K, V] = {}
        forgets(self.forget)

    def get(self, key: K) -> V | None:
        """The value of a key; None where it is not known."""
        return self._entries.get(key)

    def known(self, keys: Iterable[K]) -> dict[K, V]:
        """Those of the keys that are known, with their values."""
        with self._lock:
            entries = self._entries
            return {key: entries[key] for key in keys if key in entries}

    def keep(self, entries: Mapping[K, V]) -> None:
        """Remember entries."""
        with self._lock:
            if self._bound is not None and len(self._entries) > self._bound:
                self._entries = {}
            self._entries.update(entries)

    def drop(self, keys: Iterable[K]) -> None:
        """Forget some keys."""
        with self._lock:
            for key in keys:
                self._entries.pop(key, None)

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries = {}


class BoundedCache(Generic[K, V]):
    """What threads share and can make again, bounded by its bytes: past `most` what was not looked at for longest
    goes."""

    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        self._limit, self._size = most, size
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.bytes = 0
        forgets(self.forget)

    def known(self, keys: Iterable[K]) -> dict[K, V]:
        """Those of the keys that are known, with their values."""
        found = {}
        with self._lock:
            for key in keys:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    found[key] = self._entries[key]
        return found

    def keep(self, entries: Mapping[K, V]) -> None:
        """Remember entries."""
        with self._lock:
            for key, value in entries.items():
                before = self._entries.pop(key, None)
                self.bytes += self._size(value) - (0 if before is None else self._size(before))
                self._entries[key] = value
            while self.bytes > self._limit:
                self.bytes -= self._size(self._entries.popitem(last=False)[1])

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries = OrderedDict()
            self.bytes = 0
