"""Keeps child processes running: starts them, passes their output on, restarts those that end, stops them all in time.

One thread, one loop. A signal or a child's end wakes the loop through a socket.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from portal.run.processes import Process, signal_group

MAX_BACKOFF = 30.0
LONG_LIFE = 60.0
STOP_SECONDS = 7.0
LONGEST_LINE = 65536
LAST_STOP_SECONDS = 2.0


def say(line: str) -> None:
    """Print a line now; a console that went away is no reason to end."""
    with suppress(OSError, ValueError):
        print(line, flush=True)


@dataclass
class Child:
    """A process that shall run. `start` starts it anew; `stop_signal` asks it to end; `last` ends after the others
    have."""

    name: str
    start: Callable[[], Process]
    stop_signal: signal.Signals
    last: bool = False
    process: Process | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0
    partial: bytes = field(default=b"", repr=False)

    @property
    def running(self) -> bool:
        """It was started and has not ended."""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """The children and the loop. `stopping` becomes true on SIGTERM, SIGINT and SIGHUP."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        for end in (self._wake, waker):
            end.setblocking(False)
        self._waker = waker  # kept, or its file descriptor closes
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        for what in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if what != signal.SIGHUP or signal.getsignal(what) != signal.SIG_IGN:  # nohup's wish is kept
                signal.signal(what, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # its arrival wakes the loop

    def _ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def add(self, child: Child) -> None:
        """Start a child and keep it running from now on."""
        self.children.append(child)
        self._start(child)

    def leave(self) -> None:
        """In a fork of this process: close what belongs to the supervisor."""
        self._selector.close()
        for end in (self._wake, self._waker):
            end.close()
        for child in self.children:
            if child.process and child.process.stdout:
                child.process.stdout.close()

    def run(self) -> None:
        """Go on until asked to stop."""
        while not self.stopping:
            self.turn(1.0)

    def turn(self, seconds: float) -> None:
        """Pass output on for up to `seconds`, then see to children that have ended."""
        self._relay(seconds)
        for child in self.children:
            if not child.running and not self.stopping:
                self._revive(child)

    def stop(self) -> None:
        """End every child: ask, wait, kill. Those marked `last` (the database) go after the others."""
        for last, seconds in ((False, STOP_SECONDS), (True, LAST_STOP_SECONDS)):
            leaving = [child for child in self.children if child.last == last and child.process]
            for child in leaving:
                if child.running and child.process:
                    child.process.send_signal(child.stop_signal)
            deadline = time.monotonic() + seconds
            while any(child.running for child in leaving) and time.monotonic() < deadline:
                self._relay(0.05)
            for child in leaving:
                self._bury(child)

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        child.process = child.start()
        if child.process.stdout:
            os.set_blocking(child.process.stdout.fileno(), False)
            self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _revive(self, child: Child) -> None:
        """Start an ended child again: at once the first time, later each time twice as late as before."""
        now = time.monotonic()
        if child.process:
            code = child.process.returncode
            self._bury(child)
            child.failures = 1 if now - child.started > LONG_LIFE else child.failures + 1
            wait = min(2.0 ** (child.failures - 1), MAX_BACKOFF) if child.failures > 1 else 0.0
            child.due = now + wait
            say(
                f"portal: {child.name} ended ({_ending(code)}); starting it again" + (f" in {wait:g} s" if wait else "")
            )
        if now >= child.due:
            self._start(child)

    def _bury(self, child: Child) -> None:
        """Kill what is left of an ended (or stubborn) child's process group and close its output."""
        process = child.process
        if process is None:
            return
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            self._read(child)
            self._selector.unregister(process.stdout)
            process.stdout.close()
        child.process = None

    def _relay(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._read(key.data)

    def _read(self, child: Child) -> None:
        """Print the lines that the child has written, each with its name before it."""
        output = child.process.stdout if child.process else None
        try:
            data = os.read(output.fileno(), 65536) if output else b""
        except BlockingIOError:
            return
        if not data and output and child.running:
            time.sleep(0.01)  # it closed its output but lives; its end will wake us
        *lines, child.partial = (child.partial + data).split(b"\n")
        if len(child.partial) > LONGEST_LINE:
            lines, child.partial = [*lines, child.partial], b""
        for line in filter(None, lines):
            say(f"{child.name:6} | {line.decode(errors='replace').rstrip()}")


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
