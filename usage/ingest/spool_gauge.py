"""How many accepted records wait on this machine, kept as the gauge llm_usage_persist_queue_size."""

from __future__ import annotations

import socket
from datetime import datetime

from usage.ingest import spool
from usage.store import gauges


def report(now: datetime) -> int:
    """Keep the number of records in this machine's spool; the family sums the machines."""
    waiting = spool.waiting()
    gauges.keep(
        {gauges.gauge_key("llm_usage_persist_queue_size", {"machine": socket.gethostname()}): float(waiting)}, now
    )
    return waiting
