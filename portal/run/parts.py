"""The parts of the portal, and what they need, imported once: `up` loads this module and forks each part from there.

`up` imports it late, after it has started Postgres, so that both happen at once.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import sys
import warnings
from importlib import import_module

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from django.utils.module_loading import import_string
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from core.heavy import give_back
from portal.celery import app
from portal.env import Config
from portal.run import prepare as preparing

# What Celery imports when a worker or a beat starts.
LATE = (
    *("celery.apps.beat", "celery.apps.worker", "celery.concurrency.prefork", "celery.worker.consumer"),
    *("celery.worker.autoscale", "celery.worker.components", "celery.worker.loops", "kombu.transport.pgmq"),
)
M_ARENA_MAX = -8
ARENAS = 2


def load() -> None:
    """Import what the parts would import when they have something to do, and set it apart: the collector looks at none
    of it again, so that it stays shared."""
    for name in LATE:
        import_module(name)
    app.loader.import_default_modules()
    app.finalize(auto=True)
    import_module(settings.ROOT_URLCONF)
    for name in settings.MIDDLEWARE:
        import_string(name)
    limit_arenas()
    gc.collect()
    give_back()
    gc.freeze()


def limit_arenas() -> None:
    """Let threads share their heaps. glibc makes up to eight for each core, each with free room of its own."""
    if change := getattr(ctypes.CDLL(None), "mallopt", None):
        change(M_ARENA_MAX, ARENAS)


def prepare() -> None:
    """Tables and static files."""
    preparing.prepare(timezone.now())


def first_credentials() -> dict[str, str]:
    """The first start's user and key; nothing at later ones."""
    return preparing.first_credentials(timezone.now())


def web(config: Config) -> None:
    """The web server, until it is stopped."""
    multiprocessing.set_start_method("fork", force=True)
    Server(
        "portal.wsgi:application",
        config.host,
        config.port,
        interface=Interfaces.WSGI,
        workers=config.web_workers,
        blocking_threads=config.web_threads,
        # More requests than that wait in the listening queue instead of in memory.
        backpressure=config.web_threads * 4,
        backlog=1024,
        websockets=False,
        workers_kill_timeout=4,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
    ).serve()


def worker(config: Config) -> None:
    """The Celery worker, until it is stopped."""
    # Root in a container is a choice of the operator's; Celery would say so in ten lines at every start.
    warnings.filterwarnings("ignore", "You're running the worker with superuser")
    # They look at every page, at every start; the tests have run them.
    os.environ["CELERY_SKIP_CHECKS"] = "true"
    one = app.Worker(
        loglevel=logging.WARNING,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        autoscale=(config.worker_concurrency, 1),
    )
    one.start()
    sys.exit(one.exitcode)


def beat(config: Config) -> None:
    """Celery's schedule, until it is stopped."""
    app.Beat(loglevel="WARNING", quiet=True).run()


def otlp(config: Config) -> None:
    """OTLP over gRPC, until it is stopped."""
    call_command("otlp_grpc")
