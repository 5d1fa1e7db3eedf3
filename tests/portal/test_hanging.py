"""A whole web server over a Postgres that is stopped, or killed: it takes no time-out for an answer, and says itself
that it is impaired."""

import gzip
import http.client
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from alerts.models import Rule
from alerts.notify.channels import create_channel
from core.pg.breaker import DOUBT
from portal.run.postgres import THROWAWAY, EmbeddedPostgres, running
from tests.live import LivePortal, live_portal, open_folder
from tests.postgres import postgres_hangs
from tests.servers import HttpServer, serve_http, wait_until

RECORD = json.dumps({"kind": "llm_call", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 1}).encode()
TOKENS = 'compozy_llm_prompt_tokens_total{component="unknown",provider="openai",model="gpt-4o"}'


@dataclass
class Installation:
    """A web server without a worker, the Postgres that it uses, and a webhook that it has as a channel."""

    portal: LivePortal
    data: Path
    postgres: EmbeddedPostgres
    webhook: HttpServer

    def ask(self, method: str, path: str, body: bytes = b"", key: str = "") -> tuple[int, str]:
        """An answer of the portal: its status and body."""
        asked = http.client.HTTPConnection(self.portal.url.removeprefix("http://"), timeout=30)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        asked.request(method, path, body or None, headers)
        answer = asked.getresponse()
        data = answer.read()
        asked.close()
        unpacked = gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data
        return answer.status, unpacked.decode()

    def database(self) -> tuple[int, str]:
        """What /readyz says of the database."""
        status, body = self.ask("GET", "/readyz?check=database")
        return status, json.loads(body)["checks"]["database"]["detail"]

    def messages(self, count: int) -> list[tuple[str, str]]:
        """State and summary of the messages that came, once there are so many."""
        bodies = [json.loads(request.body) for request in self.webhook.wait_for(count, 90)]
        return [(body["status"], body["commonAnnotations"]["summary"].partition(":")[0]) for body in bodies]


@contextmanager
def as_django_s_database(server: EmbeddedPostgres) -> Iterator[None]:
    """This process's Django speaks to that server meanwhile."""
    connection.close()
    before = {name: connection.settings_dict[name] for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD")}
    connection.settings_dict.update(HOST=str(server.socket_dir), PORT="", NAME="portal", USER="portal", PASSWORD="")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


@pytest.fixture(scope="module")
def installation(django_db_blocker: DjangoDbBlocker) -> Iterator[Installation]:
    """Started once; it sends its message after a second."""
    with ExitStack() as stack:
        folder, webhook = stack.enter_context(open_folder()), stack.enter_context(serve_http())
        postgres = stack.enter_context(running(folder / "server", **THROWAWAY))
        environment = {
            "DATABASE_URL": postgres.url(),
            "PORTAL_SECRET_KEY": settings.SECRET_KEY,
            "PORTAL_SELF_ALERT_AFTER": "1",
            "PORTAL_OUTBOUND_PRIVATE": "true",
        }
        data = folder / "data"
        portal = stack.enter_context(live_portal(data, "--only", "web", environment=environment))
        with django_db_blocker.unblock(), as_django_s_database(postgres), pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "PORTAL", replace(settings.PORTAL, outbound_private=True))
            Rule.objects.update(enabled=False)  # nothing evaluates them here
            create_channel("webhook", "pager", {"url": webhook.url})
        wait_until((data / "spool" / "channels").exists, 60, "the channels beside the spool")
        yield Installation(portal, data, postgres, webhook)


def test_while_postgres_hangs_records_are_spooled_metrics_answer_and_readyz_says_why(
    installation: Installation,
) -> None:
    key = installation.portal.line("api key:")
    for _ in range(8):  # each of the web processes has met the key
        assert installation.ask("POST", "/api/v1/usage", RECORD, key)[0] == 200
    counted = installation.ask("GET", "/metrics")[1]
    assert "llm_usage_database_up 1.0" in counted
    assert f"{TOKENS} 8.0" in counted
    with postgres_hangs(installation.postgres.cluster):
        status, why = installation.database()
        assert status == 503
        assert "no answer within" in why
        seconds = []
        for _ in range(20):
            begun = time.monotonic()
            status, body = installation.ask("POST", "/api/v1/usage", RECORD, key)
            seconds.append(time.monotonic() - begun)
            assert (status, json.loads(body).get("spooled")) == (200, True)
        # Each of the two processes has waited once; 0.1 s is promised, which a busy machine keeps at least once.
        assert statistics.median(seconds) < DOUBT
        assert min(seconds) < 0.1
        during = installation.ask("GET", "/metrics")[1]
        assert "llm_usage_database_up 0.0" in during
        assert "llm_usage_node_queue_size 20.0" in during
        assert f"{TOKENS} 8.0" in during
        assert installation.ask("GET", "/")[0] == 302
        assert installation.messages(1) == [("firing", "Postgres does not answer")]
    wait_until(lambda: installation.database()[0] == 200, 30, "a Postgres that answers")
    assert [state for state, _ in installation.messages(2)] == ["firing", "resolved"]
    # No worker stores this machine's spool, so the web server does.
    wait_until(lambda: f"{TOKENS} 28.0" in installation.ask("GET", "/metrics")[1], 90, "the end of the spool")
    assert "llm_usage_node_queue_size 0.0" in installation.ask("GET", "/metrics")[1]


def test_the_death_of_postgres_is_one_message_through_the_channels_last_known_and_so_is_its_end(
    installation: Installation,
) -> None:
    kept = (installation.data / "spool" / "channels").read_bytes()
    assert (installation.webhook.url.encode() in kept, b"pager" in kept) == (False, True)
    before = len(installation.webhook.requests)
    leader = psutil.Process(int((installation.postgres.cluster / "postmaster.pid").read_text().split()[0]))
    leader.kill()
    psutil.wait_procs([leader])
    assert installation.messages(before + 1)[before:] == [("firing", "Postgres does not answer")]
    with running(installation.postgres.data, **THROWAWAY):
        assert [state for state, _ in installation.messages(before + 2)[before:]] == ["firing", "resolved"]
        wait_until(lambda: not (installation.data / "spool" / "self-alert.json").exists(), 30, "the end of it")
        assert len(installation.webhook.requests) == before + 2
