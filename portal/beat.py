"""Celery's beat, which sends a task only where that has something to do.

Most tasks of the schedule look every few seconds for what others left them. A message through the queue, a worker and
its transactions for each look made a portal at rest busy; beat asks Postgres first, by one statement. Whatever the
answer, each task is sent once in `AT_LEAST_SECONDS`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import psycopg
from celery.beat import PersistentScheduler, ScheduleEntry
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from alerts.alertmanager import external
from alerts.evaluation import tick
from alerts.incidents import collect, resolve
from alerts.notify import claims
from alerts.oncall import escalate
from core.pg.exists import AnyExists
from telemetry.deciding import waiting
from usage.ingest import spool
from usage.models import Budget
from usage.samples import demo
from usage.store import downsampling

log = logging.getLogger(__name__)
AT_LEAST_SECONDS = 300.0
# Celery looks 10 ms before an entry is due, and again and again until it is: most of what beat took of a processor.
LATE_SECONDS = 0.005


# Name of an entry of the schedule: whether its task has something to do. Others are always sent.
HAS_WORK: Mapping[str, Callable[[datetime], bool]] = {
    "drain spool": lambda now: bool(spool.files()),
    "send demo traffic": AnyExists(demo.to_send),
    "send demo traces": lambda now: demo.running(now) is not None,
    "forward telemetry": lambda now: bool(settings.PORTAL.otlp_forward_url),
    "count usage of spans": lambda now: waiting.is_any(settings.PORTAL.lineage_wait),
    "evaluate rules": lambda now: bool(tick.due_groups(now)),
    "flush incidents": AnyExists(
        external.over, collect.to_flush, escalate.lapsed, escalate.to_escalate, resolve.to_reopen
    ),
    "send what waits": AnyExists(claims.due),
    "downsample rollups": AnyExists(downsampling.to_claim),
    "measure budgets": AnyExists(lambda now: Budget.objects.all()),
    "say that rules are evaluated": lambda now: bool(settings.PORTAL.dead_man_url),
}


class AskingScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery comes without types
    """Sends what is due and has something to do."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: dict[str, float] = {}
        super().__init__(*args, **options)

    def adjust(self, n: Any, drift: float = LATE_SECONDS) -> Any:
        """When to look at an entry that is due in `n` seconds."""
        return super().adjust(n, drift)

    def schedules_equal(self, old_schedules: Any, new_schedules: Any) -> bool:
        """Whether the schedule is as it was: this process never changes it."""
        return old_schedules is not None

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send an entry's task, or leave it until it is due again."""
        now = time.monotonic()
        if now - self.sent.get(entry.name, -AT_LEAST_SECONDS) >= AT_LEAST_SECONDS or has_work(entry.name):
            self.sent[entry.name] = now
            super().apply_entry(entry, producer)


def has_work(name: str) -> bool:
    """Whether a task has something to do; yes where that cannot be found out."""
    ask = HAS_WORK.get(name)
    if ask is None:
        return True
    try:
        return ask(timezone.now())
    except (Error, psycopg.Error, OSError) as error:
        log.info("%s: sent unasked: %s", name, error)
        connection.close()
        return True
