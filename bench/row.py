"""A line of the table that `make bench` prints."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict


class Row(TypedDict):
    """A measured value, what it is compared with, and the bound on their ratio (`at least` or `at most`)."""

    name: str
    value: float
    baseline: float
    unit: str
    ratio: float
    bound: str
    holds: bool
    note: str


def row(name: str, value: float, baseline: float, unit: str, bound: str, note: str = "") -> Row:
    """A line; `bound` reads like "<= 3" or ">= 0.3" and is about value / baseline."""
    ratio = value / baseline
    sign, limit = bound.split()
    holds = ratio <= float(limit) if sign == "<=" else ratio >= float(limit)
    return {
        "name": name,
        "value": value,
        "baseline": baseline,
        "unit": unit,
        "ratio": round(ratio, 3),
        "bound": bound,
        "holds": holds,
        "note": note,
    }


def added_mib(action: Callable[[], object]) -> str:
    """What an action adds to the process's memory at its peak, as Linux counts it; for a note."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return "peak unknown"
    clear.write_text("5")  # the peak is counted anew from here
    sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
    action()
    peaks = dict(line.split(":", 1) for line in status.read_text().splitlines())
    added = int(peaks["VmHWM"].split()[0]) - int(sizes["VmRSS"].split()[0])
    return f"peak +{added / 1024:,.0f} MiB"


def median_seconds(action: Callable[[], object], times: int = 7) -> float:
    """The median duration of an action, after one run that is not counted."""
    action()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
