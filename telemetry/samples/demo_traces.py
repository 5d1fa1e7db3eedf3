"""Demo traffic's executions and their logs, through the same entrance as everybody's: they count as usage, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from telemetry.ingest.bodies import take
from telemetry.samples.demo_executions import Execution, body_of, executions
from usage.samples import demo

# An execution is sent this long after it began (seconds), so that all of it lies in the past.
AGE = 60
# How far back one that runs looks for executions that were not sent, as a task may be late.
LATE = timedelta(seconds=60)
FULL = timedelta(minutes=30)
SPARSE_SECONDS = 60
BATCH = 60


def send_due(now: datetime) -> int:
    """Send the executions of the last minute while demo traffic runs, and the history where it has just begun; how
    many.

    Some are sent twice, as nothing is remembered: the same execution counts once.
    """
    traffic = demo.running(now)
    if traffic is None:
        return 0
    fresh = now - traffic.started_at < timedelta(seconds=20)
    since = now - (demo.HISTORY if fresh else LATE)
    return send(executions(_second(since) - AGE, _second(now) - AGE), now)


def backfill(start: datetime, end: datetime, now: datetime, progress: Callable[[float], None] = lambda _: None) -> int:
    """Send the executions of [start, end): every one of the last half hour, one a minute of the time before; how
    many."""
    full = max(start, end - FULL)
    sent = 0
    length = max((end - start).total_seconds(), 1)
    for begin, until, every in ((start, full, SPARSE_SECONDS), (full, end, 5)):
        for at in range(_second(begin), _second(until), BATCH * every):
            sent += send(executions(at - AGE, min(at + BATCH * every, _second(until)) - AGE, every), now)
            progress((at - _second(start)) / length)
    return sent


def send(found: Iterator[Execution], now: datetime) -> int:
    """Send executions as one body of spans and one of logs; how many they are."""
    spans: dict[str, list[dict[str, Any]]] = {}
    logs: dict[str, list[dict[str, Any]]] = {}
    count = 0
    for one in found:
        count += 1
        for whole, part in ((spans, one.spans), (logs, one.logs)):
            for service, items in part.items():
                whole.setdefault(service, []).extend(items)
    if count:
        caller = demo.caller()
        take("traces.json", msgspec.json.encode(body_of("Spans", spans)), caller, now.timestamp())
        take("logs.json", msgspec.json.encode(body_of("Logs", logs)), caller, now.timestamp())
    return count


def _second(at: datetime) -> int:
    return int(at.timestamp())
