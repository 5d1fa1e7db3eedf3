"""A real portal in processes of its own: `manage.py up` on a free port and a data folder that the test gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
FOREIGN = (
    "PORTAL_",
    "DATABASE_URL",
    "CELERY_BROKER_URL",
    "EMAIL_URL",
    "DJANGO_SETTINGS_MODULE",
    "OTEL_",
    "PYTEST_",
    "TEST_DATA",
)


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without any setting of a portal or of the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | extra


def up_command(*options: str) -> list[str]:
    """How to run `manage.py up`."""
    return [sys.executable, str(MANAGE), "up", *options]


def run_up(*options: str, wrap: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `up` where it is expected to fail soon."""
    return subprocess.run(
        [*wrap, *up_command(*options)],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class LivePortal:
    """A running `up`: its process, what it printed, and where it is."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text()

    def line(self, start: str) -> str:
        """The rest of the printed line that begins with `start`; AssertionError if there is none."""
        found = [line.removeprefix(start).strip() for line in self.output.splitlines() if line.startswith(start)]
        assert found, f"no line begins with {start!r}:\n{self.output}"
        return found[0]

    def family(self) -> list[psutil.Process]:
        """The supervisor and every process below it."""
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children(recursive=True)]

    def leaders(self, word: str) -> list[psutil.Process]:
        """The direct children that are this part (web, worker, beat, postgres): one or none."""
        name = word if word == "postgres" else f"portal-{word}"
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it ended just now
                if child.name() == name:
                    found.append(child)
        return found

    def leader_of(self, word: str) -> psutil.Process:
        """The one that runs."""
        [found] = self.leaders(word)
        return found

    def get(self, path: str) -> str:
        """The body of an address of the portal."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def wait_ready(self, seconds: float = 120) -> None:
        """Return when it runs; AssertionError with its output if it ends or takes too long."""
        wait_until(lambda: "portal: running" in self.output or self.process.poll() is not None, seconds, self.output)
        assert self.process.poll() is None, self.output

    def stop(self, what: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code. TimeoutExpired where it takes far more than the nine seconds it gives its
        children."""
        self.process.send_signal(what)
        return self.process.wait(30)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that other system users may pass through, as Postgres must when we are root.

    Not below pytest's own: that one is closed to others again by every other run that starts meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="live-", dir=os.environ["PORTAL_DATA_DIR"]) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@contextmanager
def live_portal(
    data: Path, *options: str, wrap: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[LivePortal]:
    """Start `up` on `data` (in an `open_folder`) and wait until it runs; at the end it is stopped, whatever state it is
    in."""
    port = free_port()
    log = data.parent / f"{data.name}-{port}.log"
    command = [*wrap, *up_command("--data", str(data), "--port", str(port), *options)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=clean_environment(**(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    portal = LivePortal(process, log, f"http://127.0.0.1:{port}")
    try:
        portal.wait_ready()
        yield portal
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
