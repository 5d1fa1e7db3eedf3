"""The data folder: there, writable, with room, and each role on it held by one `up` at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

FREE_BYTES = 128 * 1024 * 1024
# An `up` that is on its way out is waited for this long: a bit longer than a stop takes.
LEAVING_SECONDS = 12.0
LEAVING = "leaving"


class DataFolderError(Exception):
    """The folder cannot be used; the message gives the reason, in one line."""


def check_data_folder(folder: Path) -> None:
    """Make it where missing, write to it, look at the room on its disk."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        try:
            with probe.open("wb") as file:
                file.write(bytes(65536))
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DataFolderError(f"the data folder {folder} cannot be used: {error.strerror}") from None
    if free < FREE_BYTES:
        raise DataFolderError(
            f"the data folder {folder} has {free >> 20} MB left; at least {FREE_BYTES >> 20} MB are needed"
        )


class RoleLock:
    """A role on a data folder, held until this process ends. The file tells others who holds it and whether it is
    leaving."""

    def __init__(self, folder: Path, role: str) -> None:
        self.file = (folder / f"{role}.lock").open("a+")
        deadline = time.monotonic() + LEAVING_SECONDS
        while not self._take():
            holder = self._holder()
            if LEAVING not in holder or time.monotonic() > deadline:
                self.file.close()
                by = f"process {holder.split()[0]}" if holder else "another process"
                raise DataFolderError(f"{role} already runs on the data folder {folder} ({by}); stop it, or use --data")
            time.sleep(0.1)
        self._write(str(os.getpid()))

    def leave(self) -> None:
        """Say that we are stopping, so that a new start waits for us."""
        self._write(f"{os.getpid()} {LEAVING}")

    def close(self) -> None:
        """In a fork of this process: the role is held by the parent alone."""
        self.file.close()

    def _take(self) -> bool:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> str:
        self.file.seek(0)
        return self.file.read().strip()

    def _write(self, text: str) -> None:
        self.file.truncate(0)
        self.file.write(text)
        self.file.flush()
