"""Bounds of one evaluation: samples, series, steps, depth and time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from promql.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """What one query may use. Samples are counted as they are loaded and for each intermediate matrix."""

    max_samples: int = 50_000_000
    max_series: int = 100_000
    max_steps: int = 11_000
    max_depth: int = 100
    timeout_seconds: float = 120.0


@dataclass
class Budget:
    """What one evaluation has used of its limits."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    loaded: int = 0
    series: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def check_time(self) -> None:
        if self.clock() - self.started > self.limits.timeout_seconds:
            raise LimitError("timeout_seconds", f"the query ran longer than {self.limits.timeout_seconds:g} s")

    def check_steps(self, steps: int) -> None:
        if steps > self.limits.max_steps:
            raise LimitError(
                "max_steps",
                f"the query asks for {steps} points per series, at most {self.limits.max_steps} are allowed; "
                "take a longer step or a shorter range",
            )

    def check_depth(self, depth: int) -> None:
        if depth > self.limits.max_depth:
            raise LimitError(
                "max_depth", f"the query is nested {depth} deep, at most {self.limits.max_depth} is allowed"
            )

    def load(self, series: int, samples: int) -> None:
        """Count what a source returned."""
        self.series += series
        self.loaded += samples
        if self.series > self.limits.max_series:
            raise LimitError(
                "max_series",
                f"the query selects {self.series} series, at most {self.limits.max_series} are allowed; add matchers",
            )
        self._check_samples(self.loaded)

    def hold(self, rows: int, steps: int) -> None:
        """Check the size of one intermediate matrix before or after it is made."""
        self._check_samples(rows * steps)

    def _check_samples(self, samples: int) -> None:
        if samples > self.limits.max_samples:
            raise LimitError(
                "max_samples",
                f"the query needs {samples} samples in memory, at most {self.limits.max_samples} are allowed; "
                "add matchers or take a shorter range",
            )
