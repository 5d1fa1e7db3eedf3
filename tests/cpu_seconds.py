"""`pytest --cpu`: the CPU seconds of each file of tests, with those of every program that it runs, Postgres's too.

Not with `-n`: there Postgres belongs to another process than the one that runs a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent
MAX_SHOWN = 20


def spent() -> float:
    """CPU seconds of this process and all below it, those that have ended too."""
    leader = psutil.Process()
    seconds = 0.0
    for process in (leader, *leader.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])
    return seconds


class CpuSeconds:
    """Sums them up by file."""

    def __init__(self) -> None:
        self.by_file: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()
        self.before = spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Look at the clock where a file ends, before its servers do: what their processes took goes with them."""
        name = str(item.path.relative_to(ROOT))
        self.tests[name] += 1
        if nextitem is None or nextitem.path != item.path:
            now = spent()
            self.by_file[name] += now - self.before  # type: ignore[assignment]  # typeshed counts whole things only
        yield
        if nextitem is None or nextitem.path != item.path:
            self.before = spent()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The files that cost most."""
        terminalreporter.section(f"CPU seconds, {sum(self.by_file.values()):.1f} in all")
        largest = sorted(self.by_file.items(), key=lambda pair: -pair[1])
        for name, seconds in largest[:MAX_SHOWN]:
            terminalreporter.write_line(f"{seconds:8.2f}  {self.tests[name]:5}  {name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--cpu."""
    parser.addoption("--cpu", action="store_true", help="print the files that took most CPU seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Watch, where it was asked for."""
    if config.option.cpu:
        config.pluginmanager.register(CpuSeconds())
