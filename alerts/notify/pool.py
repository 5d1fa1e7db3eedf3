"""Threads that send notifications. A channel that does not answer blocks one of these threads, not one of the worker's
slots for tasks.

So evaluation is not delayed by channels, however many are dead. Nothing rests on these threads: a delivery is claimed
in Postgres before it is sent, and what a process takes with it when it dies is taken up again.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from celery.signals import worker_process_shutdown
from django.db import connections
from django.utils import timezone

from alerts.notify import deliveries

logger = logging.getLogger(__name__)
# A channel has one sender, so that is how many channels can hang before one more has to wait. Threads are made when
# they are needed.
MAX_THREADS = 64
POOL = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="send")


def send_soon(channel_id: int) -> None:
    """Let a thread send what is due on the channel, in the trace of the task that asks for it."""
    POOL.submit(copy_context().run, send, channel_id)


def send(channel_id: int) -> None:
    """Send what is due on the channel. A thread has nobody to raise to: what breaks is logged, and tried again by the
    next sweep."""
    try:
        deliveries.send_channel(channel_id, timezone.now)
    except Exception:
        logger.exception("channel %s: sending broke", channel_id)
    finally:
        connections.close_all()


def finish(**_: object) -> None:
    """Before its process ends, let what is being sent come to its end."""
    POOL.shutdown(cancel_futures=True)


worker_process_shutdown.connect(finish)
