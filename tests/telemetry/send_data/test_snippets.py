"""The snippets, run as they are: by a shell, or by Python with the real SDKs before a fake OpenAI on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pytest_django.live_server_helper import LiveServer

from telemetry.send_data.clients import BY_SLUG
from tests.conftest import require_program
from tests.records import Sender, scalar, settle_all
from tests.servers import Answer, HttpServer

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 35,
        "total_tokens": 155,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 12},
    },
}


@pytest.fixture
def openai(http_server: HttpServer) -> HttpServer:
    """A server that answers every request as OpenAI answers a chat."""
    http_server.default = Answer(body=json.dumps(CHAT).encode(), headers={"Content-Type": "application/json"})
    return http_server


@pytest.fixture
def counted(sender: Sender, live_server: LiveServer) -> Iterator[Sender]:
    """A key; afterwards exactly one call of that usage has been counted."""
    yield sender
    settle_all()
    assert scalar("SELECT count(*) FROM usage_record") == 1
    assert scalar("SELECT prompt_tokens FROM usage_record") == 120
    assert scalar("SELECT completion_tokens FROM usage_record") == 35


def run(slug: str, url: str, key: str, program: list[str], **environment: str) -> None:
    """Run a snippet; AssertionError with what it printed unless it ends well."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "DJANGO_"))}
    text = BY_SLUG[slug].snippet(url, key)
    done = subprocess.run(
        program, input=text, env=kept | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("slug", ["curl", "record"])
def test_a_shell_runs_it(slug: str, counted: Sender, live_server: LiveServer) -> None:
    require_program("curl")
    run(slug, live_server.url, counted.plaintext, ["bash", "-eu"])


@pytest.mark.parametrize("slug", ["openinference", "genai"])
def test_python_runs_it_with_the_real_instrumentation(
    slug: str, counted: Sender, live_server: LiveServer, openai: HttpServer
) -> None:
    run(
        slug,
        live_server.url,
        counted.plaintext,
        [sys.executable, "-"],
        OPENAI_API_KEY="sk-none",
        OPENAI_BASE_URL=f"{openai.url}/v1",
    )
    assert len(openai.requests) == 1
    assert scalar("SELECT model FROM telemetry_span WHERE kind = 'llm'") == "gpt-4o-mini-2024-07-18"
