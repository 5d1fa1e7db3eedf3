"""A real browser, logged in, before a web server on the tests' own database. What it complains about fails the test."""

import os
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.conftest import require_program
from tests.servers import wait_until

# Playwright's own 5 s are too few where two browsers, their servers and Postgres share a small machine.
expect.set_options(timeout=30_000)
# Playwright runs an event loop in the test's thread; Django would refuse the database there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
BUSY = "the server responded with a status of 503"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium."""
    program = require_program("chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console and scripts complained about; empty it where a complaint is expected."""
    return []


@pytest.fixture(scope="session")
def window(browser: Browser, django_db_setup: None, live_server: LiveServer) -> Iterator[BrowserContext]:
    """The window of all tests. A tab of the portal stays open in it, so that the process that has read and compiled the
    portal's scripts is there for the next test too."""
    found = browser.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 960}, color_scheme="light")
    found.new_page().goto("/healthz")
    yield found
    found.close()
    # Each connection of the browser has a thread of the server, and that one of Postgres: they end before the database.
    wait_until(lambda: not [one for one in threading.enumerate() if "process_request_thread" in one.name])


@pytest.fixture
def context(
    window: BrowserContext, tables: None, live_server: LiveServer, complaints: list[str]
) -> Iterator[BrowserContext]:
    """A window that knows nothing but the scripts, in which a superuser is logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    window.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    yield window
    stays, *others = window.pages
    for page in others:
        page.close()
    stays.evaluate("localStorage.clear()")
    window.clear_cookies()
    window.clear_permissions()
    assert complaints == []


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Page:
    """A tab of it."""

    def heard(message: ConsoleMessage) -> None:
        # A panel that found no slot for its query asks again by itself.
        if message.type in ("error", "warning") and BUSY not in message.text:
            complaints.append(message.text)

    found = context.new_page()
    found.set_default_timeout(30_000)
    found.on("console", heard)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    return found
