"""A portal at rest, as `make run` starts it: what it takes of memory, of a processor and of Postgres, and how soon a
prepared one is ready.

Memory is the proportional set size (PSS) of all processes, Postgres's too: what several share counts once. Processor
time is that of all these processes over a minute in which nobody asks for anything; the default rules are evaluated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

from bench.bench_ingest import free_port
from bench.row import row
from portal.run.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
SETTLE, WATCHED = 30.0, 60.0
FOREIGN = ("PORTAL_", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")


@contextmanager
def portal(data: Path) -> Iterator[tuple[psutil.Process, float, float]]:
    """A portal on that folder: its first process, and the seconds of clock and of processors until it was ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    command = [sys.executable, "manage.py", "up", "--data", str(data), "--port", str(free_port())]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            if line.startswith("portal: ready"):
                break
        else:
            raise SystemExit("the portal did not start")
        clock = time.monotonic() - started
        first = psutil.Process(process.pid)
        yield first, clock, processor_seconds(first)
    finally:
        process.terminate()
        process.communicate()


def family(first: psutil.Process) -> list[psutil.Process]:
    """The process and all below it."""
    return [first, *first.children(recursive=True)]


def processor_seconds(first: psutil.Process) -> float:
    """What the family has used, with those that have ended and were waited for."""
    used = 0.0
    for process in family(first):
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


def sizes(first: psutil.Process) -> list[tuple[str, float]]:
    """Name and proportional set size (MiB) of each process of the family."""
    found = []
    for process in family(first):
        with suppress(psutil.NoSuchProcess):
            found.append((process.name(), process.memory_full_info().pss / 2**20))
    return sorted(found, key=lambda one: -one[1])


def transactions(url: str) -> int:
    """How many the portal's database has ended, this one included."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database").fetchone()
    return int(found[0]) if found else 0


def main() -> None:
    """Measure and print the lines."""
    with tempfile.TemporaryDirectory(prefix="idle-") as name:
        Path(name).chmod(0o711)  # Postgres runs as a user of its own where we are root
        data = Path(name) / "data"
        with portal(data) as (first, _, _):
            pass
        with portal(data) as (first, clock, started):
            url = EmbeddedPostgres(data).url()
            time.sleep(SETTLE)
            before, used, at = transactions(url), processor_seconds(first), time.monotonic()
            time.sleep(WATCHED)
            seconds = time.monotonic() - at
            share = (processor_seconds(first) - used) / seconds
            rate = (transactions(url) - before) / seconds
            found = sizes(first)
    each = ", ".join(f"{name} {size:.0f}" for name, size in found)
    rows = [
        row("idle: memory of all processes", sum(size for _, size in found), 350, "MiB", "<= 1", each),
        row("idle: share of a core", 100 * share, 1, "%", "<= 1", f"over {seconds:.0f} s"),
        row("idle: transactions in Postgres", rate, 11, "/s", "<= 0.5", "baseline: before they were asked for"),
        row("warm start, by the clock", clock, 3, "s", "<= 1"),
        row("warm start, of a core", started, 3, "s", "<= 1"),
    ]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
