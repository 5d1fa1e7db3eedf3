"""The metrics of the web processes behind one address, together: whichever of them answers a scrape, counters never go
back.

Each process keeps its own counts in files of `PROMETHEUS_MULTIPROC_DIR` (prometheus_client's multiprocess mode), and
these stay when it ends. prometheus_client leaves out what the operating system knows of processes; that is added up
here.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
from prometheus_client import PLATFORM_COLLECTOR, REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CPU = ("process_cpu_seconds", "Total user and system CPU time of the web processes in seconds, those that ended too.")
RESIDENT = ("process_resident_memory_bytes", "Resident memory of the web processes in bytes.")
VIRTUAL = ("process_virtual_memory_bytes", "Virtual memory of the web processes in bytes.")
FILES = ("process_open_fds", "Open file descriptors of the web processes.")
STARTED = ("process_start_time_seconds", "Start of the oldest web process in Unix seconds.")


def collect() -> Iterator[Metric]:
    """One family after another: of all web processes, or of this one where they share no folder."""
    folder = os.environ.get(FOLDER)
    if not folder:
        yield from REGISTRY.collect()
        return
    # prometheus_client leaves this class without types.
    yield from MultiProcessCollector(None, folder).collect()  # type: ignore[no-untyped-call]
    yield from PLATFORM_COLLECTOR.collect()
    yield from system_metrics(Path(folder))


def system_metrics(folder: Path) -> Iterable[Metric]:
    """What the operating system knows of the processes that keep counts in the folder."""
    living = list(processes(folder))
    with suppress(OSError):
        yield CounterMetricFamily(*CPU, value=cpu_seconds(folder, living))
    sizes = [process.memory_info() for process in living]
    yield GaugeMetricFamily(*RESIDENT, value=sum(size.rss for size in sizes))
    yield GaugeMetricFamily(*VIRTUAL, value=sum(size.vms for size in sizes))
    yield GaugeMetricFamily(*FILES, value=sum(process.num_fds() for process in living))
    yield GaugeMetricFamily(*STARTED, value=min((process.create_time() for process in living), default=0.0))


def processes(folder: Path) -> Iterator[psutil.Process]:
    """The living processes that have files in the folder, this one first."""
    pids = {int(path.stem.rpartition("_")[2]) for path in folder.glob("*.db")} - {os.getpid()}
    yield psutil.Process()
    for pid in sorted(pids):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.parent() == psutil.Process().parent():  # else the number has come to another program
                yield process


def cpu_seconds(folder: Path, living: Iterable[psutil.Process]) -> float:
    """CPU time of all processes so far; a file remembers what those used that have ended. Raises OSError."""
    with (folder / "cpu.json").open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        used = msgspec.json.decode(file.read() or b"{}", type=dict[str, float])
        for process in living:
            times = process.cpu_times()
            name = f"{process.pid} {process.create_time()}"
            used[name] = max(used.get(name, 0.0), times.user + times.system)
        file.truncate(0)
        file.write(msgspec.json.encode(used))
    return sum(used.values())
