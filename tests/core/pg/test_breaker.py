"""A Postgres that hangs holds nothing for long: the breaker opens, and closes by itself."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, connection

from core.pg import breaker as module
from core.pg.breaker import BoundedConnection, breaker
from portal.run.postgres import THROWAWAY, EmbeddedPostgres, running
from tests.live import open_folder
from tests.postgres import postgres_away, postgres_hangs
from tests.servers import wait_until


@pytest.fixture
def own_postgres(django_db_blocker: object) -> Iterator[EmbeddedPostgres]:
    """A server that no other test uses, as Django's database."""
    with open_folder() as folder, running(folder / "data", **THROWAWAY) as server, django_db_blocker.unblock():  # type: ignore[attr-defined]
        connection.close()
        before = {name: connection.settings_dict[name] for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD")}
        connection.settings_dict.update(HOST=str(server.socket_dir), PORT="", NAME="portal", USER="portal", PASSWORD="")
        breaker.forget()
        try:
            yield server
        finally:
            connection.close()
            connection.settings_dict.update(before)
            breaker.forget()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, configure: object) -> None:
    """Doubt a statement soon."""
    monkeypatch.setattr(module, "DOUBT", 0.05)
    configure(database_timeout=1)  # type: ignore[operator]


def forbidden(**_: object) -> None:
    """Stands for a connection that is not to be tried."""
    raise AssertionError("a connection was tried")


def one() -> int:
    """What Postgres says to SELECT 1."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def sleepers() -> int:
    """How many statements sleep."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'")
        return int(cursor.fetchone()[0])


@pytest.mark.usefixtures("hasty")
def test_a_statement_that_hangs_fails_what_follows_fails_at_once_and_the_breaker_closes_by_itself(
    own_postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one() == 1
    with postgres_hangs(own_postgres.cluster), monkeypatch.context() as patch:
        with pytest.raises(OperationalError, match="Postgres is away: "):
            one()
        assert breaker.reason
        connection.close()
        patch.setattr(BoundedConnection, "connect", forbidden)
        with pytest.raises(OperationalError, match="Postgres is away: "):
            one()
    wait_until(lambda: not breaker.reason, what="a probe that is answered")
    assert one() == 1


@pytest.mark.usefixtures("hasty")
def test_a_statement_that_waits_fails_when_another_thread_has_found_postgres_away(
    own_postgres: EmbeddedPostgres,
) -> None:
    one()
    failed: list[Exception] = []

    def wait() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(600)")
        except OperationalError as error:
            failed.append(error)
        connection.close()

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: sleepers() == 3, what="three statements that wait")
    with postgres_hangs(own_postgres.cluster):
        for thread in threads:
            thread.join(30)
    assert [str(error).partition(":")[0] for error in failed] == ["Postgres is away"] * 3


@pytest.mark.usefixtures("hasty")
def test_a_statement_that_only_takes_long_is_waited_for(own_postgres: EmbeddedPostgres) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.4), 7")
        assert cursor.fetchone()[1] == 7
    assert not breaker.reason


@pytest.mark.django_db(transaction=True)
def test_a_refused_connection_opens_the_breaker_and_while_it_is_open_none_is_tried() -> None:
    with postgres_away():
        with pytest.raises(OperationalError, match="refused"):
            one()
        connection.close()
        with pytest.raises(OperationalError, match=r"Postgres is away: .*refused"):
            one()
    assert one() == 1


@pytest.mark.parametrize("text", ["sorry, too many clients already", 'database "portal" does not exist'])
def test_a_server_that_refuses_in_its_own_words_is_not_away(text: str) -> None:
    assert module.reason_of(psycopg.OperationalError(f"connection failed: FATAL:  {text}")) == ""


@pytest.mark.parametrize("text", ["FATAL:  the database system is starting up", "Connection refused", ""])
def test_a_server_that_starts_or_cannot_be_reached_is_away(text: str) -> None:
    assert module.reason_of(psycopg.OperationalError(text)) != ""


def test_the_cluster_of_a_hanging_postgres_goes_on_afterwards(own_postgres: EmbeddedPostgres) -> None:
    with postgres_hangs(own_postgres.cluster):
        pass
    assert Path(own_postgres.cluster / "postmaster.pid").exists()
    assert one() == 1
