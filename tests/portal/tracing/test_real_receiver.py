"""The portal's own traces go to a receiver that nobody here wrote (Arize Phoenix) and are whole there: from an HTTP
request through a Celery task to an outbound webhook."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import ROOT, clean_environment, live_portal, open_folder
from tests.portal.tracing.test_tracing import CALLER, TRACE, failed_delivery, live_settings, send_again
from tests.servers import HttpServer, free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("phoenix")]
PROGRAM = ROOT / ".test/phoenix/bin/phoenix"


def answers(url: str) -> bool:
    """Whether a server answers well there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[str]:
    """The address of Phoenix, started empty."""
    if not PROGRAM.exists():
        message = "Phoenix is not installed (make test installs it, .ci/install-phoenix)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    port = free_port()
    environment = clean_environment(
        PHOENIX_WORKING_DIR=str(tmp_path),
        PHOENIX_HOST="127.0.0.1",
        PHOENIX_PORT=str(port),
        PHOENIX_GRPC_PORT=str(free_port()),
        PHOENIX_TELEMETRY_ENABLED="false",
    )
    with (tmp_path / "phoenix.log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), "serve"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        # It takes 20 s on a machine that has nothing else to do, and ran for two minutes on one with a load of ten.
        wait_until(lambda: answers(f"{url}/healthz"), 400, "Phoenix")
        yield url
    finally:
        process.kill()
        process.wait()


def received(url: str) -> dict[str, dict[str, Any]]:
    """The spans of TRACE that Phoenix has, by id."""
    with urllib.request.urlopen(f"{url}/v1/projects/default/spans?limit=1000", timeout=30) as answer:
        found = json.load(answer)["data"]
    return {span["context"]["span_id"]: span for span in found if span["context"]["trace_id"] == TRACE}


def ancestors(spans: dict[str, dict[str, Any]], span_id: str) -> list[str]:
    """The names of a span and of those it is in."""
    names = []
    while span_id in spans:
        names.append(spans[span_id]["name"])
        span_id = spans[span_id]["parent_id"] or ""
    return names


@pytest.mark.django_db(transaction=True)
def test_a_real_receiver_has_the_whole_way_from_a_request_through_a_task_to_a_webhook(
    http_server: HttpServer, phoenix: str, configure: Callable[..., object]
) -> None:
    configure(outbound_private=True, base_url="https://portal.example")
    delivery = failed_delivery(http_server)
    with open_folder() as folder:
        environment = live_settings(phoenix)
        with live_portal(folder / "data", "--only", "web,worker", environment=environment) as portal:
            assert send_again(portal.url, delivery, f"00-{TRACE}-{CALLER}-01") == 200
            sent = http_server.wait_for(2, 60)[1]
            _, trace_id, post, _ = sent.headers["traceparent"].split("-")
            wait_until(lambda: len(ancestors(received(phoenix), post)) == 5, 60, "the whole line of spans")
    assert trace_id == TRACE
    assert ancestors(received(phoenix), post) == [
        "POST",
        "notify",
        "run/alerts.tasks.send_channel",
        "apply_async/alerts.tasks.send_channel",
        "POST deliveries/<int:delivery_id>/retry",
    ]
