"""Trying again, by stamina. Each retry is a line of the log."""

from __future__ import annotations

import stamina
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

# Its other hook would add a metric to /metrics that the catalog does not know.
set_on_retry_hooks([LoggingOnRetryHook])

retry = stamina.retry
retry_context = stamina.retry_context
