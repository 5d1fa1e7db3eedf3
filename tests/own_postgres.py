"""A Postgres of a test's own, which may be killed: a copy of the one that all tests share."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from django.db import connection, connections

from core.pg.breaker import breaker
from portal.run.postgres import INSTALLED, SUPERUSER, EmbeddedPostgres
from portal.run.processes import stop
from tests import settings
from tests.live import open_folder


class OwnPostgres:
    """The server. What it has committed survives the death of its processes, not that of the machine."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.start()

    def start(self) -> None:
        """Start it, after a crash too, and wait until it answers."""
        self.server.prepare()
        self.child = self.server.start(fsync="off", full_page_writes="off", synchronous_commit="on")
        self.server.wait(self.child)
        breaker.forget()

    def kill(self) -> None:
        """SIGKILL for all of its processes; the leader first, which would end the others in order."""
        leader = psutil.Process(self.child.pid)
        for process in [leader, *leader.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def restart(self) -> None:
        """Start it again once it was killed."""
        self.child.wait(30)
        self.start()


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """The tests' database as it is now, on a server of its own to which Django is connected meanwhile."""
    if not settings.EMBEDDED:
        pytest.skip("the tests' Postgres is not the embedded one")
    connections.close_all()
    shared = EmbeddedPostgres(settings.TEST_DATA)
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "data")
        server.data.mkdir()
        server.data.chmod(0o711)
        server.cluster.mkdir(mode=0o700)
        user = server.system_user
        if user:
            shutil.chown(server.cluster, user, user)
        copy = [str(INSTALLED / "bin/pg_basebackup"), "-U", SUPERUSER, "-c", "fast", "-X", "fetch"]
        places = ["-h", str(shared.socket_dir), "-D", str(server.cluster)]
        subprocess.run([*copy, *places], check=True, user=user, group=user, cwd="/")
        own = OwnPostgres(server)
        address = {"HOST": connection.settings_dict["HOST"]}
        connection.settings_dict["HOST"] = str(server.socket_dir)
        try:
            yield own
        finally:
            connections.close_all()
            connection.settings_dict.update(address)
            stop(own.child, signal.SIGINT, 10)
            breaker.forget()
