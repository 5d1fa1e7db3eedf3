"""What a killed `up` may have left: the processes of its parts, each part a session of its own, noted in the data
folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

# psutil computes starts from the clock, which may be set meanwhile.
SAME_START_SECONDS = 2.0


def note(folder: Path, role: str, leader: int) -> None:
    """Remember the session of a part that was started just now."""
    with suppress(psutil.NoSuchProcess):
        _file(folder, role).write_text(f"{leader} {psutil.Process(leader).create_time()}")


def end_leftovers(folder: Path, role: str) -> None:
    """Kill what is left of the part's last session. We hold the role, so it is nobody's."""
    try:
        number, started = _file(folder, role).read_text().split()
        leader, start = int(number), float(started)
    except (OSError, ValueError):
        return
    with suppress(psutil.NoSuchProcess):
        # The kernel gives no number again while a session has it: then nothing is left of ours.
        if abs(psutil.Process(leader).create_time() - start) > SAME_START_SECONDS:
            return
    left = [process for process in psutil.process_iter() if _session(process.pid) == leader]
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _file(folder: Path, role: str) -> Path:
    return folder / f"{role}.session"


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
