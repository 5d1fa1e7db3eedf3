"""Whether Postgres answers: a circuit breaker that every connection of this process shares.

A statement may take long for a good reason, so its time alone says nothing. One that has waited for `DOUBT`
seconds has a probe asked in its place: a connection of its own, by a thread of its own. Where the probe is not
answered in time either, the breaker opens: what waits fails at once, and so does whatever comes, until the
probe, asked again and again, gets an answer.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Generator
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.abc import RV, PQGen

log = logging.getLogger(__name__)
DOUBT = 1.0  # seconds
PAUSE = 0.5  # seconds between two probes while Postgres is away
# Postgres refuses a connection in its own words: it is there, whatever it refuses. Not
# so while it starts, stops or recovers.
REFUSAL, NOT_UP = "FATAL:", ("starting up", "shutting down", "recovery", "not accepting", "not yet accepting")


class Away(psycopg.OperationalError):
    """Postgres does not answer; the message says since when and how that was seen."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose waiting ends with Away once the breaker is open."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer of Postgres. What was interrupted leaves no usable connection."""
        try:
            return super().wait(breaker.watch(gen), interval, timeout)
        except Away:
            self.pgconn.finish()
            raise


class Probe(psycopg.Connection[Any]):
    """A connection each of whose steps is bounded in time."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer of Postgres, as long as a probe may take."""
        return super().wait(gen, interval, settings.PORTAL.database_timeout)


def ask() -> str:
    """Ask Postgres over a connection of its own; why that failed, "" where it was answered."""
    given = connections["default"].get_connection_params()
    try:
        with Probe.connect(**{**given, "connect_timeout": settings.PORTAL.database_timeout}) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return reason_of(error)
    return ""


def reason_of(error: Exception) -> str:
    """Why Postgres could not be asked, "" where it answered with a refusal (no such
    database, too many connections …)."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "" if REFUSAL in reason and not any(text in reason for text in NOT_UP) else reason


class Breaker:
    """Open (`reason` is set) while Postgres does not answer. Any number of threads may use it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked process no thread probes any more."""
        self._changed = threading.Condition()
        self._prober: threading.Thread | None = None
        self._answers = 0
        self.reason = ""
        self.since = 0.0

    def check(self) -> None:
        """Raise Away while the breaker is open."""
        if self.reason:
            raise Away(f"Postgres is away: {self.reason}")

    def fail(self, error: psycopg.OperationalError) -> None:
        """A connection could not be made."""
        if reason := reason_of(error):
            with self._changed:
                self._open(reason)
                self._probe()

    def doubt(self, seconds: float | None = None) -> None:
        """Return when a probe has been answered; raise Away where it is not within
        `seconds` (else the setting), or has failed."""
        within = settings.PORTAL.database_timeout if seconds is None else seconds
        with self._changed:
            before = self._answers
            if not self.reason:
                self._probe()
                if not self._changed.wait_for(lambda: self.reason or self._answers > before, within):
                    self._open(f"no answer within {within:g} s")
        self.check()

    def watch(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        """What `gen` does, until the breaker is open. psycopg sends 0 where nothing has
        come for a tenth of a second."""
        self.check()
        doubtful = time.monotonic() + DOUBT
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready:
                    self.check()
                    if time.monotonic() > doubtful:
                        self.doubt()
                        doubtful = time.monotonic() + DOUBT
                wanted = gen.send(ready)
        except StopIteration as end:
            result: RV = end.value
            return result

    def _probe(self) -> None:
        """Have a thread ask Postgres until it answers; there is one at a time."""
        if self._prober is None:
            self._prober = threading.Thread(target=self._ask_until_answered, name="postgres-probe", daemon=True)
            self._prober.start()

    def _ask_until_answered(self) -> None:
        mine = self._changed
        while reason := ask():
            with mine:
                if mine is not self._changed:
                    return
                self._open(reason)
            time.sleep(PAUSE)
        with mine:
            if mine is not self._changed:
                return
            if self.reason:
                log.warning("Postgres answers again after %.1f s", time.monotonic() - self.since)
            self.reason, self._prober = "", None
            self._answers += 1
            mine.notify_all()

    def _open(self, reason: str) -> None:
        if not self.reason:
            self.since = time.monotonic()
            log.warning("Postgres is away: %s", reason)
        self.reason = reason
        self._changed.notify_all()


breaker = Breaker()
os.register_at_fork(after_in_child=breaker.forget)
