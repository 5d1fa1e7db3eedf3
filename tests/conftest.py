"""Fixtures of every test: the database server, real loopback servers, real programs."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import psycopg
import pytest
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from portal.run.postgres import SUPERUSER, THROWAWAY, running
from tests import settings
from tests.emptying import empty_tables
from tests.in_flight import REQUESTS, Application
from tests.servers import HttpServer, SmtpServer, serve_http, serve_smtp
from tests.template_database import templated

pytest_plugins = ["tests.records", "tests.cpu_seconds"]
POSTGRES = ExitStack()
TransactionTestCase._fixture_teardown = lambda _: empty_tables()
ROOT = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    """Start the embedded Postgres once, in the process that leads the run."""
    if settings.WORKER or not settings.EMBEDDED or config.option.collectonly:
        return
    server = POSTGRES.enter_context(running(settings.TEST_DATA, **THROWAWAY))
    with psycopg.connect(server.url(SUPERUSER, SUPERUSER), autocommit=True) as connection:
        connection.execute("ALTER ROLE portal CREATEDB")


def empties(item: pytest.Item) -> bool:
    """Whether the test empties the tables after itself, those too that migrations fill."""
    marker = item.get_closest_marker("django_db")
    if marker is not None and marker.kwargs.get("transaction"):
        return True
    return not {"transactional_db", "live_server"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What empties the tables comes last; within both halves long files come first, so that one worker has them while
    others run the rest."""
    items.sort(key=lambda item: (empties(item), item.get_closest_marker("long") is None))


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of a file share its servers, so a worker gets them together; those that empty the tables are a group of
    their own."""
    group = f"{item.path.relative_to(ROOT)}{' emptying' if empties(item) else ''}"
    item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where xdist does not group, as it did unnoticed under another pytest: every worker would start
    every file's servers."""
    if settings.WORKER and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("xdist leaves the groups of tests out: do its version and that of pytest agree?")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it."""
    POSTGRES.close()


def require_program(name: str) -> Path:
    """The program's path. Where it is missing the test is skipped; under CI=true it fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found:
        return Path(found)
    message = f"{name} is not installed (make test as root on Debian installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
) -> Iterator[Callable[[], None]]:
    """What comes before pytest-django makes a database: a template to copy. Call it once the database is there."""
    with ExitStack() as stack:
        if settings.EMBEDDED:
            stack.enter_context(templated())
        yield stack.close


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_modify_db_settings: Callable[[], None], django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """A database of this process's own."""
    with django_db_blocker.unblock():
        django_db_modify_db_settings()


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    """A web server on loopback that records requests and answers as instructed."""
    with serve_http() as server:
        yield server


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A mail server on loopback that records messages."""
    with serve_smtp() as server:
        yield server


@pytest.fixture(scope="session")
def live_server(live_server: LiveServer) -> LiveServer:
    """pytest-django's web server on the tests' own database, its requests counted."""
    server = live_server.thread.httpd
    server.set_app(REQUESTS.count(cast("Application", server.get_app())))
    return live_server
