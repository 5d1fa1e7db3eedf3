"""`manage.py up`: the whole portal, or some of its parts, as one foreground process.

In order: the data folder (there, writable, not in use), the port, Postgres, tables and static files (`manage.py
prepare`), then web server, Celery worker and beat. What goes wrong before they run is one line on stderr and a non-zero
exit code.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg
from django.db import DatabaseError, connections
from django.utils import timezone

from portal.env import Config
from portal.exports.web_processes import FOLDER as METRICS_FOLDER
from portal.run.data_folder import DataFolderError, RoleLock, check_data_folder
from portal.run.postgres import EmbeddedPostgres, PostgresError
from portal.run.prepare import first_credentials
from portal.run.processes import end_with_parent, spawn, stop
from portal.run.supervise import Child, Supervisor, say

# Marks our children in their environment, so that a later start finds what a killed one left.
CHILD_VARIABLE = "LLM_USAGE_PORTAL_CHILD"
MANAGE = Path(__file__).resolve().parent.parent.parent / "manage.py"
OLDEST_POSTGRES = 150000
CELERY = ("-m", "celery", "-q", "-A", "portal.celery")


class UpError(Exception):
    """The portal cannot start; the message gives the reason, in one line."""


def up(config: Config, database_url: str, *, with_parent: bool) -> int:
    """Run until stopped; the exit code."""
    supervisor = Supervisor()
    locks: list[RoleLock] = []
    try:
        if with_parent:
            end_with_parent()
        roles = config.roles or default_roles(config)
        check_data_folder(config.data_dir)
        locks += [RoleLock(config.data_dir, role) for role in roles]
        end_leftovers(config.data_dir, roles)
        if "web" in roles:
            check_port(config.host, config.port, "--port")
        if "otlp" in roles:
            check_port(config.host, config.otlp_grpc_port, "PORTAL_OTLP_GRPC_PORT")
        server = EmbeddedPostgres(config.data_dir)
        if "postgres" in roles:
            start_postgres(supervisor, server, config)
        run(supervisor, config, database_url, roles)
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


def run(supervisor: Supervisor, config: Config, database_url: str, roles: Sequence[str]) -> None:
    """Everything after Postgres: wait for it, prepare, start the other parts, keep them running."""
    wait_for_database(supervisor, config, database_url)
    others = [role for role in ("web", "worker", "beat", "otlp") if role in roles]
    if not supervisor.stopping and others:
        prepare(supervisor)
        for role in others:
            if not supervisor.stopping:
                supervisor.add(program(role, config))
        if "web" in others:
            wait_for_web(supervisor, config)
            announce(supervisor, config)
    if not supervisor.stopping:
        say(f"portal: running ({', '.join(roles)}); Ctrl-C stops it")
    supervisor.run()
    say("portal: stopping")


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


def end_leftovers(data: Path, roles: Sequence[str]) -> None:
    """Kill children of an earlier `up` on this data folder that was itself killed. We hold the roles, so they are
    nobody's."""
    expected = {child_value(data, role) for role in roles}
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(CHILD_VARIABLE) in expected:
                process.kill()
                left.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(left, timeout=5)


def child_value(data: Path, role: str) -> str:
    """The value of CHILD_VARIABLE for a child."""
    return f"{role}:{data}"


def start_postgres(supervisor: Supervisor, server: EmbeddedPostgres, config: Config) -> None:
    """Start the embedded Postgres under supervision and make the portal's database."""
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
    supervisor.add(child)
    if child.process:
        server.wait(child.process, lambda: supervisor.stopping)
    if not supervisor.stopping:
        server.ensure_database()


def wait_for_database(supervisor: Supervisor, config: Config, url: str) -> None:
    """Return when Postgres answers and is new enough."""
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


def prepare(supervisor: Supervisor) -> None:
    """Run `manage.py prepare`: tables and static files."""
    say("portal: preparing tables and static files")
    child = spawn([sys.executable, MANAGE, "prepare"])
    while child.poll() is None and not supervisor.stopping:
        supervisor.turn(0.2)
    if supervisor.stopping:
        stop(child, signal.SIGTERM, 2)
    elif child.returncode:
        raise UpError("the tables could not be prepared; see above")


def program(role: str, config: Config) -> Child:
    """The web server, the worker or the beat as a child."""
    commands = {
        "web": [
            *("-m", "granian", "--interface", "wsgi", "--host", config.host, "--port", str(config.port)),
            *("--workers", str(config.web_workers), "--blocking-threads", str(config.web_threads)),
            # More requests than that wait in the listening queue instead of in memory.
            *("--backpressure", str(config.web_threads * 4), "--backlog", "1024", "--no-ws"),
            *("--workers-kill-timeout", "4", "--respawn-failed-workers", "--log-level", "error"),
            "portal.wsgi:application",
        ],
        "worker": [*CELERY, "worker", "-l", "WARNING", "--without-gossip", "--without-mingle"],
        "beat": [*CELERY, "beat", "-l", "WARNING", "--pidfile="],
        "otlp": [str(MANAGE), "otlp_grpc"],
    }
    # Root in a container is a choice of the operator's; Celery would say so in ten lines at every start.
    quiet = ["-W", "ignore:You're running the worker with superuser"]
    command = [sys.executable, *quiet, *commands[role]]
    environment = {**os.environ, CHILD_VARIABLE: child_value(config.data_dir, role), "PYTHONUNBUFFERED": "1"}
    if role == "web":
        environment[METRICS_FOLDER] = str(new_metrics_folder(config.data_dir))
    # When we are killed, Postgres goes too, and without its queue Celery would take long to end in good order.
    dies_by = signal.SIGKILL if role == "worker" else signal.SIGTERM

    def start() -> subprocess.Popen[bytes]:
        return spawn(
            command,
            env=environment,
            death_signal=dies_by,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=MANAGE.parent,
        )

    return Child(role, start, signal.SIGTERM)


def new_metrics_folder(data: Path) -> Path:
    """Where the web processes keep their counts, empty: those of an earlier start would meet other processes of the
    same number."""
    folder = data / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def wait_for_web(supervisor: Supervisor, config: Config) -> None:
    """Return when the web server answers, or when we are to stop."""
    while not supervisor.stopping:
        supervisor.turn(0.1)
        connection = http.client.HTTPConnection(config.local_host.strip("[]"), config.port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()


def announce(supervisor: Supervisor, config: Config) -> None:
    """Say where the portal is, the first start's credentials (made only now that they will be seen), how to send a
    record."""
    if supervisor.stopping:
        return
    first = first_credentials(timezone.now())
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
