"""What /metrics is made of, read from Postgres, and kept beside the spool for while Postgres is away: counters must not
vanish or go back."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError

from alerts.evaluation import metrics as rule_metrics
from core.pg.breaker import breaker
from telemetry.store import sampling
from usage.ingest import spool
from usage.series import exposition


class Numbers(msgspec.Struct):
    """The rows of one reading; `read_at` is when it began, in Unix seconds."""

    read_at: float = 0.0
    catalog: exposition.Rows = msgspec.field(default_factory=exposition.Rows)
    rules: rule_metrics.RuleRows = msgspec.field(default_factory=rule_metrics.RuleRows)
    sampled: list[sampling.Decided] = []


def read(now: float) -> tuple[Numbers, bool]:
    """The numbers, and whether they are Postgres's own of now; else they are the last that a process of this machine
    has shown."""
    try:
        if not breaker.reason:
            numbers = Numbers(now, exposition.read_rows(now), rule_metrics.read_rows(), sampling.decisions())
            keep(numbers)
            return numbers, True
    except (OperationalError, InterfaceError):
        spool.drop_connection()
    return aged(kept(), now), False


def aged(numbers: Numbers, now: float) -> Numbers:
    """Without gauges that no longer hold."""
    if now - numbers.read_at > settings.PORTAL.gauge_hold:
        numbers.catalog.gauges = []
    return numbers


def path() -> Path:
    """The file."""
    return spool.folder() / "last-numbers"


def kept() -> Numbers:
    """What was kept; nothing where there is no file that can be read."""
    try:
        return msgspec.msgpack.decode(path().read_bytes(), type=Numbers)
    except (OSError, msgspec.DecodeError):
        return Numbers()


def keep(numbers: Numbers) -> None:
    """Keep what was read, unless another process has kept what was read later. A disk that is full is no reason to show
    nothing."""
    try:
        with path().with_suffix(".lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if float(lock.read() or 0) > numbers.read_at:
                return
            draft = path().with_suffix(f".{os.getpid()}")
            draft.write_bytes(msgspec.msgpack.encode(numbers))
            draft.replace(path())
            lock.truncate(0)
            lock.write(repr(numbers.read_at))
    except (OSError, ValueError):
        return
