"""`manage.py up`: the whole portal, or some of its parts, as one foreground process.

In order: the data folder (there, writable, not in use), the port, Postgres, tables and static files (`manage.py
prepare`), then web server, Celery worker and beat. What goes wrong before they run is one line on stderr and a non-zero
exit code.

While Postgres starts, this process imports all that the parts need (`portal.run.parts`); each part is then a fork of
it. So Django is loaded once for all, in a second or two, and lies in memory once.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import psycopg
from django.db import DatabaseError, connections

from core.process_cache import forget_all
from portal.env import Config, ConfigError, load
from portal.run.data_folder import DataFolderError, RoleLock, check_data_folder
from portal.run.forked import Forked
from portal.run.options import add_arguments, options_to_environment
from portal.run.postgres import EmbeddedPostgres, PostgresError
from portal.run.processes import end_with_parent
from portal.run.sessions import end_leftovers, note
from portal.run.supervise import Child, Supervisor, say

OLDEST_POSTGRES = 150000
# Where the web processes keep their counts (portal.exports.web_processes).
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# numpy's BLAS would keep a thread for each core: forks want none, and nothing here multiplies large matrices.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


class UpError(Exception):
    """The portal cannot start; the message gives the reason, in one line."""


class Portal:
    """What `up` was asked to run, and its forks."""

    def __init__(
        self, supervisor: Supervisor, config: Config, roles: Sequence[str], leave: Sequence[Callable[[], None]]
    ) -> None:
        self.supervisor, self.config, self.roles = supervisor, config, roles
        # A fork begins without what this process holds or has read from Postgres.
        self._leave = [*leave, forget_all]

    @property
    def stopping(self) -> bool:
        """We were asked to stop."""
        return self.supervisor.stopping

    def fork(
        self,
        name: str,
        run: Callable[[], object],
        death_signal: signal.Signals = signal.SIGTERM,
        *,
        relayed: bool = True,
    ) -> Forked:
        """A fork of this process that runs a function."""
        connections.close_all()
        return Forked(name, run, self._leave, death_signal, relayed=relayed)


def main(arguments: Sequence[str]) -> int:
    """What `manage.py up` does with its arguments; the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    add_arguments(parser)
    with_parent = parser.parse_args(arguments).with_parent
    options_to_environment(arguments)
    try:
        config = load()
    except ConfigError as error:
        print("\n".join(f"portal: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    return up(config, with_parent=with_parent)


def up(config: Config, *, with_parent: bool) -> int:
    """Run until stopped; the exit code."""
    supervisor = Supervisor()
    locks: list[RoleLock] = []
    try:
        if with_parent:
            end_with_parent()
        roles = config.roles or default_roles(config)
        check_data_folder(config.data_dir)
        locks += [RoleLock(config.data_dir, role) for role in roles]
        for role in roles:
            end_leftovers(config.data_dir, role)
        if "web" in roles:
            check_port(config.host, config.port, "--port")
            os.environ[METRICS_FOLDER] = str(new_metrics_folder(config.data_dir))
        if "otlp" in roles:
            check_port(config.host, config.otlp_grpc_port, "PORTAL_OTLP_GRPC_PORT")
        run(Portal(supervisor, config, roles, [supervisor.leave, *(lock.close for lock in locks)]))
    except (UpError, DataFolderError, PostgresError) as error:
        print(f"portal: {error}", file=sys.stderr, flush=True)
        return 1
    except (psycopg.Error, DatabaseError) as error:
        print(f"portal: Postgres failed: {_first_line(error)}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"portal: {error.strerror}: {error.filename or config.data_dir}", file=sys.stderr, flush=True)
        return 1
    finally:
        for lock in locks:
            lock.leave()
        supervisor.stop()
    return 0


def default_roles(config: Config) -> tuple[str, ...]:
    """All that is needed on one machine."""
    postgres = () if config.database_url else ("postgres",)
    return (*postgres, "web", "worker", "beat", *(("otlp",) if config.otlp_grpc_port else ()))


def run(portal: Portal) -> None:
    """Start Postgres and meanwhile load the image, prepare, start the other parts, keep them all running."""
    server = EmbeddedPostgres(portal.config.data_dir)
    postgres = start_postgres(portal, server) if "postgres" in portal.roles else None
    others = [role for role in ("web", "worker", "beat", "otlp") if role in portal.roles]
    parts = load_image() if others else None
    if postgres:
        wait_for_postgres(portal, server, postgres)
    wait_for_database(portal)
    if parts and not portal.stopping:
        prepare(portal, parts)
        for role in others:
            if not portal.stopping:
                portal.supervisor.add(part(portal, role, getattr(parts, role)))
        if "web" in others:
            wait_for_web(portal)
            announce(portal, parts)
    if not portal.stopping:
        say(f"portal: running ({', '.join(portal.roles)}); Ctrl-C stops it")
    portal.supervisor.run()
    say("portal: stopping")


def load_image() -> Any:
    """Import Django and all that the parts need; the module of the parts."""
    os.environ.update(ONE_THREAD)
    django.setup()
    parts = import_module("portal.run.parts")
    parts.load()
    return parts


def check_port(host: str, port: int, setting: str) -> None:
    """The address can be bound; `setting` is what to change where it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise UpError(f"cannot listen on {host} port {port}: {error.strerror}; choose another with {setting}") from None


def start_postgres(portal: Portal, server: EmbeddedPostgres) -> Child:
    """Start the embedded Postgres under supervision."""
    config = portal.config
    if not (server.cluster / "PG_VERSION").exists():
        say(f"portal: making a Postgres database in {server.cluster}")

    # Each thread and task has a connection, each process up to four to the queue; the rest is for people and
    # maintenance.
    processes = config.web_workers + config.worker_concurrency
    threads = config.web_workers * config.web_threads + (config.web_threads if config.otlp_grpc_port else 0)
    needed = threads + config.worker_concurrency + 4 * processes + 40

    def start() -> subprocess.Popen[bytes]:
        server.prepare()
        return server.start(max_connections=str(max(needed, 100)))

    child = Child("postgres", start, signal.SIGINT, last=True)
    portal.supervisor.add(child)
    return child


def wait_for_postgres(portal: Portal, server: EmbeddedPostgres, child: Child) -> None:
    """Return when the embedded Postgres answers and has the portal's database, or when we are to stop."""
    if child.process:
        server.wait(child.process, lambda: portal.stopping)
    if not portal.stopping:
        server.ensure_database()


def wait_for_database(portal: Portal) -> None:
    """Return when Postgres answers and is new enough."""
    supervisor, config = portal.supervisor, portal.config
    url = config.database_url or EmbeddedPostgres(config.data_dir).url()
    deadline = time.monotonic() + config.database_wait
    has_warned = False
    while not supervisor.stopping:
        try:
            with psycopg.connect(url, connect_timeout=3) as connection:
                version = connection.info.server_version
            break
        except psycopg.OperationalError as error:
            reason = _first_line(error)
            if time.monotonic() > deadline or ("FATAL" in reason and "starting up" not in reason):
                hint = "; is `up` with postgres running on this data folder?" if not config.database_url else ""
                raise UpError(f"Postgres cannot be reached: {reason}{hint}") from None
            if not has_warned:
                say("portal: waiting for Postgres")
                has_warned = True
            supervisor.turn(0.5)
    else:
        return
    if version < OLDEST_POSTGRES:
        raise UpError(f"Postgres is too old: {version // 10000}; 15 or newer is needed")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def prepare(portal: Portal, parts: Any) -> None:
    """Bring tables and static files up to date, in a fork: what migrations load is not kept."""
    say("portal: preparing tables and static files")
    child = portal.fork("prepare", parts.prepare, relayed=False)
    while child.poll() is None and not portal.stopping:
        portal.supervisor.turn(0.2)
    if portal.stopping:
        child.send_signal(signal.SIGKILL)
    elif child.returncode:
        raise UpError("the tables could not be prepared; see above")


def part(portal: Portal, role: str, run: Callable[[Config], object]) -> Child:
    """The web server, the worker, the beat or OTLP's as a child."""
    config = portal.config
    # When we are killed, Postgres goes too, and without its queue Celery would take long to end in good order.
    dies_by = signal.SIGKILL if role == "worker" else signal.SIGTERM

    def start() -> Forked:
        process = portal.fork(role, lambda: run(config), dies_by)
        note(config.data_dir, role, process.pid)
        return process

    return Child(role, start, signal.SIGTERM)


def new_metrics_folder(data: Path) -> Path:
    """Where the web processes keep their counts, empty: those of an earlier start would meet other processes of the
    same number."""
    folder = data / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def wait_for_web(portal: Portal) -> None:
    """Return when the web server answers, or when we are to stop."""
    address = portal.config.local_host.strip("[]"), portal.config.port
    while not portal.stopping:
        portal.supervisor.turn(0.1)
        connection = http.client.HTTPConnection(*address, timeout=1)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()


def announce(portal: Portal, parts: Any) -> None:
    """Say where the portal is, the first start's credentials (made only now that they will be seen), how to send a
    record."""
    if portal.stopping:
        return
    config = portal.config
    first = parts.first_credentials()
    connections.close_all()
    say(f"portal: ready at {config.public_url}/")
    if first:
        say(f"portal: sign in as {first['admin']} with the one-time password {first['password']}")
        say("portal: neither is shown again; this is the key that sends records:")
        say(f"api key: {first['api_key']}")
    key = first.get("api_key", "YOUR_API_KEY")
    record = (
        '{"kind":"llm_call","provider":"openai","model":"gpt-4o",'
        '"prompt_tokens":100,"completion_tokens":20,"duration_seconds":0.8}'
    )
    say("portal: send a record:")
    say(
        f"curl -sS {config.public_url}/api/v1/usage -H 'Authorization: Bearer {key}' -H 'Content-Type:"
        f" application/json' -d '{record}'"
    )
