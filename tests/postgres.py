"""A Postgres that is away, or hangs."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from django.db import connection

from core.pg.breaker import breaker


@contextmanager
def postgres_away() -> Iterator[None]:
    """No server at the address of the database: every use of it fails as it does while Postgres is down."""
    connection.close()
    address = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    connection.settings_dict.update(HOST="127.0.0.1", PORT="1")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(address)
        breaker.forget()


@contextmanager
def postgres_hangs(cluster: Path) -> Iterator[None]:
    """Every process of the embedded Postgres in that folder is stopped, so that it takes connections and answers
    nothing."""
    leader = psutil.Process(int((cluster / "postmaster.pid").read_text().split()[0]))
    leader.suspend()  # before it is asked for its children, so that it makes no more
    stopped = [leader]
    try:
        for child in leader.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.suspend()
                stopped.append(child)
        yield
    finally:
        for process in stopped:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
