"""A whole portal over a Postgres whose processes are stopped: it takes no time-out for an answer."""

import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LivePortal, live_portal, open_folder
from tests.postgres import postgres_hangs
from tests.servers import wait_until


@pytest.fixture
def portal() -> Iterator[tuple[LivePortal, Path]]:
    with open_folder() as folder, live_portal(folder / "data", "--only", "postgres,web") as running:
        yield running, folder / "data" / "postgres"


def asked(portal: LivePortal, method: str, path: str, body: bytes = b"", key: str = "") -> tuple[int, bytes]:
    """An answer of the portal: its status and body."""
    connection = http.client.HTTPConnection(portal.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data


def test_while_postgres_hangs_records_are_spooled_metrics_answer_and_readyz_says_why(
    portal: tuple[LivePortal, Path],
) -> None:
    running, cluster = portal
    key = running.line("api key:")
    record = json.dumps({"kind": "llm_call", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 1}).encode()
    for _ in range(8):  # each of the web processes has met the key
        assert asked(running, "POST", "/api/v1/usage", record, key)[0] == 200
    counted = asked(running, "GET", "/metrics")[1]
    assert b"llm_usage_database_up 1.0" in counted
    with postgres_hangs(cluster):
        status, body = asked(running, "GET", "/readyz?check=database")
        assert status == 503
        assert "no answer within" in json.loads(body)["checks"]["database"]["detail"]
        answers = [asked(running, "POST", "/api/v1/usage", record, key) for _ in range(6)]
        assert [(status, json.loads(body).get("spooled")) for status, body in answers] == [(200, True)] * 6
        during = asked(running, "GET", "/metrics")[1].decode()
        assert "llm_usage_database_up 0.0" in during
        assert "llm_usage_node_queue_size 6.0" in during
        total = 'compozy_llm_prompt_tokens_total{component="unknown",provider="openai",model="gpt-4o"} 8.0'
        assert total in counted.decode()
        assert total in during
        assert asked(running, "GET", "/")[0] == 302
    wait_until(lambda: asked(running, "GET", "/readyz?check=database")[0] == 200, 30, "a Postgres that answers")
