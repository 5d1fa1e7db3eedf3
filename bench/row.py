"""A line of the table that `make bench` prints."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import TypedDict


class Measurement(TypedDict):
    """A measured value, what it is compared with, and the bound on their ratio (`at least` or `at most`)."""

    name: str
    value: float
    baseline: float
    unit: str
    ratio: float
    bound: str
    holds: bool
    note: str


def row(name: str, value: float, baseline: float, unit: str, bound: str, note: str = "") -> Measurement:
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
    """What an action takes of this process's memory at its peak, beyond what it found; for a note."""
    tracemalloc.start()
    found = tracemalloc.get_traced_memory()[0]
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return f"peak +{(peak - found) / 2**20:,.0f} MiB"


def median_seconds(*actions: Callable[[], object], times: int = 7) -> list[float]:
    """The median duration of each of some actions, which take turns, after one turn that is not counted."""
    found: list[list[float]] = []
    for _ in range(times + 1):
        found.append([])
        for action in actions:
            started = time.perf_counter()
            action()
            found[-1].append(time.perf_counter() - started)
    return [statistics.median(column) for column in zip(*found[1:], strict=True)]
