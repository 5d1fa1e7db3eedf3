"""Fixtures of every test: the database server, real loopback servers, real programs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from portal.postgres import SUPERUSER, THROWAWAY, running
from tests import settings
from tests.servers import HttpServer, SmtpServer, serve_http, serve_smtp

pytest_plugins = ["tests.records"]
POSTGRES = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the embedded Postgres once, in the process that leads the run."""
    if settings.WORKER or not settings.EMBEDDED or config.option.collectonly:
        return
    server = POSTGRES.enter_context(running(settings.TEST_DATA, **THROWAWAY))
    with psycopg.connect(server.url(SUPERUSER, SUPERUSER), autocommit=True) as connection:
        connection.execute("ALTER ROLE portal CREATEDB")


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


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    """A web server on loopback that records requests and answers as told."""
    with serve_http() as server:
        yield server


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A mail server on loopback that records messages."""
    with serve_smtp() as server:
        yield server
