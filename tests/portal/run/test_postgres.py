"""The embedded Postgres starts wherever its data folder is, and closes its doors."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pgmq.base import PGMQConfig

from portal.celery import pgmq_parameters
from portal.run.postgres import SUPERUSER, THROWAWAY, EmbeddedPostgres, PostgresError, running
from tests.live import open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postgres's user can reach."""
    with open_folder() as folder:
        yield folder


@pytest.mark.parametrize("name", ["plain", "with 'quotes\" and spaces, %41 & ünïcode", "long" * 40])
def test_any_data_folder_will_do(folder: Path, name: str) -> None:
    with running(folder / name, **THROWAWAY) as server:
        psycopg.connect(PGMQConfig(conn_string=pgmq_parameters(server.url())).dsn).close()
        with psycopg.connect(server.url()) as connection:
            user, superuser, encoding, addresses = (
                connection.execute(
                    "SELECT current_user, current_setting('is_superuser'), current_setting('server_encoding'),"
                    " current_setting('listen_addresses')"
                ).fetchone()
                or ("",) * 4
            )
        assert (user, superuser, encoding, addresses) == ("portal", "off", "UTF8", "")
        for closed in (server.cluster, server.socket_dir):
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_folders_above_may_be_passed_but_not_listed(folder: Path) -> None:
    above = folder / "closed"
    above.mkdir(mode=0o700)
    with running(above / "data", **THROWAWAY):
        expected = 0o701 if os.geteuid() == 0 else 0o700
        assert stat.S_IMODE(above.stat().st_mode) == expected


def test_a_half_made_cluster_is_made_anew_and_data_survives_a_crash(folder: Path) -> None:
    half = folder / "data/postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    with running(folder / "data") as server, psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
    # The pid file of a crash, with a number that by now is some other process's.
    pid_file = server.cluster / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.cluster}\n0\n5432\n{server.socket_dir}\n\n0 0\nready\n")
    with running(folder / "data") as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT x FROM kept").fetchone() == (1,)


def test_a_cluster_that_cannot_start_says_why_in_one_line(folder: Path) -> None:
    with (
        pytest.raises(PostgresError, match=r'^embedded Postgres did not start: .*"shared_buffers".*$'),
        running(folder / "data", shared_buffers="many"),
    ):
        pass


def test_a_socket_folder_of_somebody_else_is_refused(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("x" * 120))
    server.data.mkdir()
    server.socket_dir.symlink_to(folder)
    try:
        with pytest.raises(PostgresError, match="belongs to another user or is no folder"):
            server.prepare()
    finally:
        server.socket_dir.unlink()


def test_the_superuser_is_for_its_own_start_only(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data")
    assert server.url().startswith("postgresql://portal@/portal?host=")
    assert server.url(SUPERUSER, SUPERUSER).startswith("postgresql://postgres@/postgres?host=")
