"""What happens on this machine while Postgres is away: counts in a file of the spool's folder, which its web processes
share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from usage.ingest import spool

REFUSED = "refused"
ERRORS = ("db_error", "timeout", REFUSED)
UP = ("llm_usage_database_up", "1 where Postgres answered this scrape, 0 where the numbers are the last known ones.")
QUEUE = ("llm_usage_node_queue_size", "Accepted records that wait in this machine's spool.")
FAILURES = (
    "llm_usage_node_failures",
    "Requests whose records this machine could not store at once: db_error and timeout were spooled, refused were"
    " answered 503.",
)
# Each with what it means, as Prometheus shows them.
ALL = (UP, QUEUE, (f"{FAILURES[0]}_total", FAILURES[1]))


def count(error: str) -> None:
    """Count a request whose records could not be stored. Where the folder cannot be written, there is nowhere to
    count."""
    try:
        with _opened(fcntl.LOCK_EX) as file:
            counts = _read(file)
            counts[error] = counts.get(error, 0) + 1
            file.seek(0)
            file.write(msgspec.json.encode(counts))
            file.truncate()
    except OSError:
        return


def failures() -> dict[str, int]:
    """Requests whose records could not be stored at once, by error, since this folder is in use."""
    try:
        with _opened(fcntl.LOCK_SH) as file:
            counts = _read(file)
    except OSError:
        counts = {}
    return {error: counts.get(error, 0) for error in ERRORS}


def _opened(lock: int) -> BinaryIO:
    file = os.fdopen(os.open(spool.folder() / "failures.json", os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    fcntl.flock(file, lock)
    return file


def _read(file: BinaryIO) -> dict[str, int]:
    try:
        return msgspec.json.decode(file.read() or b"{}", type=dict[str, int])
    except msgspec.DecodeError:
        return {}


class NodeCollector(Collector):
    """The metrics of this machine; `up` says whether Postgres answered this scrape."""

    def __init__(self, up: bool) -> None:
        self.up = up

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        yield GaugeMetricFamily(*UP, value=float(self.up))
        yield GaugeMetricFamily(*QUEUE, value=spool.waiting())
        counter = CounterMetricFamily(*FAILURES, labels=["error_type"])
        for error, number in failures().items():
            counter.add_metric([error], number)
        yield counter
