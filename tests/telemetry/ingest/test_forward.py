"""What arrives goes on to another collector as it came, whatever becomes of that one."""

import gzip

import pytest

from telemetry.ingest import forward
from tests.records import scalar
from tests.servers import Answer, HttpServer
from tests.telemetry.conftest import BODIES, Configure, Exporter

pytestmark = pytest.mark.usefixtures("old_spans")


@pytest.fixture(autouse=True)
def collector(http_server: HttpServer, configure: Configure, old_spans: None) -> HttpServer:
    configure(otlp_forward_url=http_server.url, otlp_forward_headers="Authorization=Bearer%20abc,x-scope=team")
    return http_server


def test_bodies_go_on_as_they_came_in_order(exporter: Exporter, collector: HttpServer) -> None:
    names = ["openinference-traces.bin", "sdk-logginghandler-logs.bin", "vercel-ai-sdk-6-traces.json"]
    for name in names:
        assert exporter.send(name).status_code == 200
    assert forward.send_waiting() == 3
    assert [request.path for request in collector.requests] == ["/v1/traces", "/v1/logs", "/v1/traces"]
    for name, request in zip(names, collector.requests, strict=True):
        assert gzip.decompress(request.body) == (BODIES / name).read_bytes()
        assert (request.headers["authorization"], request.headers["x-scope"]) == ("Bearer abc", "team")
    assert collector.requests[2].headers["content-type"] == "application/json"
    assert (forward.send_waiting(), forward.waiting()) == (0, [])


def test_a_collector_that_is_away_is_waited_for_and_in_nobody_s_way(exporter: Exporter, collector: HttpServer) -> None:
    collector.answers.extend([Answer(503), Answer(200), Answer(400)])
    for _ in range(2):
        assert exporter.send("openinference-traces.bin").status_code == 200
    assert scalar("SELECT count(*) FROM telemetry_span") > 0
    assert (forward.send_waiting(), len(forward.waiting())) == (0, 2)
    # The second one is refused for good: it is dropped.
    assert (forward.send_waiting(), forward.waiting()) == (2, [])


def test_a_folder_that_is_full_takes_no_more(exporter: Exporter, configure: Configure) -> None:
    configure(spool_max_bytes=10)
    assert exporter.send("openinference-traces.bin").status_code == 200
    assert forward.waiting() == []


def test_nothing_is_kept_where_nothing_is_to_be_handed_on(exporter: Exporter, configure: Configure) -> None:
    configure(otlp_forward_url="")
    exporter.send("openinference-traces.bin")
    assert (forward.waiting(), forward.send_waiting()) == ([], 0)


def test_what_cannot_be_read_and_what_is_no_otlp_is_not_handed_on(exporter: Exporter) -> None:
    assert exporter.post("/v1/traces", b"nonsense").status_code == 400
    assert exporter.send("litellm-generic_api.json").status_code == 200
    assert forward.waiting() == []
