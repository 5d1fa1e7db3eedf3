"""A part of the portal as a fork of this process: it begins with everything imported, in memory that both share."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from portal.run.processes import LIBC, die_with

PR_SET_NAME = 15
# What this process has handlers for, and its parts must not inherit.
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Forked:
    """A function that runs in a process of its own, in its own session; what a supervisor needs of it is called as by
    Popen.

    `leave` is called first in the new process: it closes what belongs to this one. The kernel sends `death_signal` when
    the calling thread ends (call from the main one). With `relayed`, its output comes through `stdout`, else it goes
    where ours goes. Fork only while this process has no other thread.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], object],
        leave: Iterable[Callable[[], None]],
        death_signal: signal.Signals = signal.SIGTERM,
        *,
        relayed: bool = True,
    ) -> None:
        output, end = os.pipe() if relayed else (None, None)
        arguments = (f"portal-{name}", os.getpid(), death_signal, end, list(leave), run)
        self._process = multiprocessing.get_context("fork").Process(target=_become, args=arguments, name=name)
        # A signal that comes before the child has handlers of its own waits for these.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if end is not None:
            os.close(end)
        self.stdout = os.fdopen(output, "rb", buffering=0) if output is not None else None
        self.pid: int = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """The exit code, -N where signal N killed it, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Return once it has ended."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, what: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, what)


def _become(
    name: str,
    parent: int,
    death_signal: signal.Signals,
    end: int | None,
    leave: list[Callable[[], None]],
    run: Callable[[], object],
) -> None:
    """What the child does before it becomes its part."""
    os.setsid()
    die_with(parent, death_signal)
    signal.set_wakeup_fd(-1)
    for what in HANDLED:
        signal.signal(what, signal.default_int_handler if what == signal.SIGINT else signal.SIG_DFL)
    for one in leave:
        one()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if end is not None:
        os.dup2(end, 1)
        os.dup2(end, 2)
        os.close(end)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper
    if LIBC is not None:
        LIBC.prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    run()
