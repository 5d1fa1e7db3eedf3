"""Child processes that cannot outlive their parent: own process group, death signal, no shell."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import psutil

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Process(Protocol):
    """A child process: a Popen, or a fork of ours."""

    pid: int

    @property
    def stdout(self) -> IO[bytes] | None: ...

    @property
    def returncode(self) -> int | Any | None: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int | None: ...

    def send_signal(self, what: int, /) -> None: ...


def die_with(parent: int, death_signal: signal.Signals) -> None:
    """In a child: ask the kernel for `death_signal` when the parent's thread ends."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), signal.SIGKILL)


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    stdout: int | None = None,
    stderr: int | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, tied to the life of the calling thread (call from the main one).

    `user` changes to that system user and its group (root only). On systems other than Linux there is no death signal.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        preexec_fn=partial(die_with, os.getpid(), death_signal),
    )


def end_with_parent() -> None:
    """From now on SIGTERM comes to this process when the one that started it ends (Linux; elsewhere nothing)."""
    if LIBC is not None:
        parent = psutil.Process().parent()
        LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if parent is None or os.getppid() != parent.pid:
            os.kill(os.getpid(), signal.SIGTERM)


def signal_group(pid: int, what: signal.Signals) -> None:
    """Send `what` to the process group that `pid` leads; nothing if it is gone."""
    try:
        os.killpg(pid, what)
    except (ProcessLookupError, PermissionError):
        return


def stop(child: subprocess.Popen[bytes], what: signal.Signals, seconds: float) -> None:
    """Signal the child, wait for it up to `seconds`, then kill what is left of its process group."""
    if child.poll() is None:
        child.send_signal(what)
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()


def running_in(folder: Path, name: str) -> list[psutil.Process]:
    """Processes called `name` that work in `folder`."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == name and Path(process.cwd()) == folder:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
