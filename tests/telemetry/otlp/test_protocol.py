"""OTLP/HTTP to the letter: forms, limits, keys, answers, and what happens while Postgres is away."""

import base64
import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from core.accounts import keys
from core.accounts.models import Workspace
from telemetry.store import span_writer
from tests.records import NOW, rows, scalar, settle_all
from tests.telemetry.conftest import BODIES, JSON, PROTOBUF, Configure, Exporter
from usage.ingest import pipeline, spool
from usage.models import DeadLetter

pytestmark = pytest.mark.usefixtures("old_spans")
BODY = (BODIES / "openinference-traces.bin").read_bytes()
START = int(NOW.timestamp() * 1e9)


def chat(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A span of OTLP/JSON."""
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": START + 10**9,
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
        ],
        **changes,
    }
    return {name: value for name, value in span.items() if value is not None}


def request(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {}, "spans": [*spans]}]}]}).encode()


def spans() -> int:
    return int(scalar("SELECT count(*) FROM telemetry_span"))


@pytest.mark.parametrize("path", ["/v1/traces", "/otlp/v1/traces", "/api/public/otel/v1/traces"])
def test_traces_are_taken_at_each_address(exporter: Exporter, path: str) -> None:
    answer = exporter.post(path, BODY)
    assert (answer.status_code, answer.content, answer["Content-Type"], spans()) == (200, b"", PROTOBUF, 7)


@pytest.mark.parametrize("prefix", ["", "/otlp"])
def test_metrics_and_logs_are_taken_at_each_address(exporter: Exporter, prefix: str) -> None:
    for signal, name in (("metrics", "openllmetry-metrics.bin"), ("logs", "sdk-logginghandler-logs.bin")):
        answer = exporter.post(f"{prefix}/v1/{signal}", (BODIES / name).read_bytes())
        assert (answer.status_code, answer.content) == (200, b"")
    assert scalar("SELECT count(*) FROM usage_record") > 0
    assert scalar("SELECT count(*) FROM telemetry_log") > 0


def test_what_a_span_becomes_has_a_price_and_the_bounds_of_labels(exporter: Exporter, configure: Configure) -> None:
    configure(dimensions_per_kind=2, label_max_length=12)
    for number, model in enumerate(("gpt-4o", "gpt-4o-mini", "o3", "x" * 50), start=1):
        span = chat(number)
        span["attributes"][2] = {"key": "gen_ai.request.model", "value": {"stringValue": model}}
        exporter.post("/v1/traces", request(span), JSON)
    found = rows(
        "SELECT d.labels ->> 'model', r.cost_usd > 0, r.price_source FROM usage_record r"
        " JOIN usage_dimension d ON d.id = r.dimension_id ORDER BY r.trace_id"
    )
    assert found[0][:2] == ("gpt-4o", True)
    assert "__overflow__" in {model for model, *_ in found}
    assert max(len(model) for model, *_ in found) <= 12


def test_a_body_may_be_gzip_and_the_type_may_have_parameters(exporter: Exporter) -> None:
    answer = exporter.post(
        "/v1/traces", gzip.compress(request(chat())), "application/json; charset=utf-8", HTTP_CONTENT_ENCODING="gzip"
    )
    assert (answer.status_code, answer.content, answer["Content-Type"], spans()) == (200, b"{}", JSON, 1)


def test_an_empty_request_is_a_success(exporter: Exporter) -> None:
    assert exporter.post("/v1/traces", b"", CONTENT_TYPE=PROTOBUF).status_code == 200
    assert exporter.post("/v1/traces", b"{}", JSON).content == b"{}"


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_AUTHORIZATION": "Bearer {}"},
        {"HTTP_AUTHORIZATION": "bearer {}"},
        {"HTTP_X_API_KEY": "{}"},
        {"HTTP_API_KEY": "{}"},
        {"HTTP_AUTHORIZATION": "Basic {basic}"},
    ],
)
def test_the_key_comes_in_the_header_of_any_client(exporter: Exporter, headers: dict[str, str]) -> None:
    basic = base64.b64encode(f"pk-lf-1:{exporter.plaintext}".encode()).decode()
    given = {name: value.format(exporter.plaintext, basic=basic) for name, value in headers.items()}
    answer = exporter.client.post("/v1/traces", request(chat()), content_type=JSON, **given)
    assert (answer.status_code, spans()) == (200, 1)


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [("", 401, 16), ("Bearer nonsense", 401, 16), ("Basic !!!", 401, 16), ("Digest x", 401, 16)],
)
def test_no_key_is_refused_in_the_type_of_the_request(
    exporter: Exporter, authorization: str, status: int, code: int
) -> None:
    answer = exporter.post("/v1/traces", BODY, HTTP_AUTHORIZATION=authorization)
    assert (answer.status_code, answer["Content-Type"]) == (status, PROTOBUF)
    assert Status.FromString(answer.content).code == code
    answer = exporter.post("/v1/traces", b"{}", JSON, HTTP_AUTHORIZATION=authorization)
    assert (answer.status_code, answer.json()["code"], bool(answer.json()["message"])) == (status, code, True)


def test_a_key_without_the_scope_and_one_over_its_rate_are_refused(exporter: Exporter, workspace: Workspace) -> None:
    _, reader = keys.create_key("reader", workspace, ["query"])
    assert exporter.post("/v1/traces", b"{}", JSON, HTTP_AUTHORIZATION=f"Bearer {reader}").status_code == 403
    _, slow = keys.create_key("slow", workspace, ["ingest"], rate=1)
    answers = [exporter.post("/v1/traces", b"{}", JSON, HTTP_AUTHORIZATION=f"Bearer {slow}") for _ in range(3)]
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (BODY[:-3], PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "SPAN_KIND_CLIENT"}]}]}]}', JSON, 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}', JSON, 400),
        (b'{"resourceSpans":' + b"[" * 5000, JSON, 400),
        (BODY, "text/plain", 415),
        (BODY, "", 415),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(exporter: Exporter, body: bytes, content_type: str, status: int) -> None:
    answer = exporter.post("/v1/traces", body, content_type)
    assert answer.status_code == status
    assert answer.content


def test_another_method_is_refused(exporter: Exporter) -> None:
    answer = exporter.client.get("/v1/traces")
    assert (answer.status_code, answer["Allow"], answer.json()["code"]) == (405, "POST", 12)


def test_bodies_have_a_limit_before_and_after_unpacking(exporter: Exporter, configure: Configure) -> None:
    configure(body_max_bytes=2_000, body_max_unpacked_bytes=5_000)
    assert exporter.post("/v1/traces", BODY).status_code == 413
    bomb = gzip.compress(b"\0" * 1_000_000)
    assert len(bomb) < 2_000
    assert exporter.post("/v1/traces", bomb, HTTP_CONTENT_ENCODING="gzip").status_code == 413
    configure(batch_max_records=1)
    assert exporter.post("/v1/traces", request(chat(1), chat(2)), JSON).status_code == 413
    assert exporter.post("/v1/traces", b"x", HTTP_CONTENT_ENCODING="br").status_code == 400


def test_bad_spans_are_refused_and_the_good_ones_beside_them_are_kept(exporter: Exporter, configure: Configure) -> None:
    configure(retention_traces_days=(timezone.now() - NOW).days + 2)
    bad = [
        chat(traceId="0" * 32),
        chat(spanId="12"),
        chat(traceId="nothing hexadecimal at all, friend"),
        chat(2, endTimeUnixNano=START * 2),
        chat(3, startTimeUnixNano=1, endTimeUnixNano=2),
        chat(4, startTimeUnixNano=1),
    ]
    answer = exporter.post("/v1/traces", request(chat(1), *bad), JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "6"
    assert "without a valid trace id" in answer.json()["partialSuccess"]["errorMessage"]
    assert (answer.status_code, spans()) == (200, 1)
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(name="no ids")
    answer = exporter.post("/v1/traces", message.SerializeToString())
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1


def test_unknown_fields_nulls_and_odd_values_are_read(exporter: Exporter) -> None:
    odd = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 5}},
        {"key": "nan", "value": {"doubleValue": "NaN"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, None, {}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}}},
        {"key": "nul", "value": {"stringValue": "a\x00b"}},
        {"key": "none", "value": None},
        {"key": "huge", "value": {"intValue": "9" * 30}},
    ]
    span = chat(
        attributes=odd, name="nul\x00", flags=257, traceState="a=b", events=None, newField={"x": [1]}, status=None
    )
    assert exporter.post("/v1/traces", request(span), JSON).status_code == 200
    found = scalar("SELECT attributes::text FROM telemetry_span")
    assert json.loads(found) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.output_tokens": 5,
        "nan": None,
        "list": [1, None, None],
        "map": {"a": False},
        "nul": "a\ufffdb",
        "none": None,
        "huge": 0,
    }
    assert scalar("SELECT name FROM telemetry_span") == "nul\ufffd"


def test_numbers_that_an_enumeration_does_not_have_are_unspecified(exporter: Exporter) -> None:
    exporter.post("/v1/traces", request(chat(kind=10**30, status={"code": -7}), chat(2, kind=70_000)), JSON)
    assert rows("SELECT DISTINCT span_kind, status FROM telemetry_span") == [(0, 0)]


def test_while_postgres_is_away_spans_are_spooled_without_content_and_stored_once_later(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(span_writer, "insert", away)
        answer = exporter.post("/v1/traces", BODY)
    assert (answer.status_code, answer.content, spans(), spool.waiting()) == (200, b"", 0, 7)
    [path] = spool.files()
    assert b"ChatCompletion" in path.read_bytes()
    assert b"input.value" not in path.read_bytes()
    exporter.post("/v1/traces", BODY)
    assert (pipeline.drain(), spans(), spool.waiting()) == (1, 7, 0)
    settle_all()
    assert scalar("SELECT count(*) FROM usage_record") == 7
    assert scalar("SELECT sum(spans) FROM telemetry_trace") == 7


def test_where_nothing_can_be_made_durable_the_client_keeps_it(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch, configure: Configure
) -> None:
    monkeypatch.setattr(span_writer, "insert", lambda *_: 1 / 0)
    configure(spool_max_bytes=0)
    answer = exporter.post("/v1/traces", BODY)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert Status.FromString(answer.content).code == 14


def test_a_batch_that_cannot_be_stored_lies_among_the_dead_letters_where_a_person_can_read_it(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(span_writer, "insert", lambda *_: 1 / 0)
        exporter.post("/v1/traces", BODY)
        pipeline.drain()
    letter = DeadLetter.objects.get()
    assert "ChatCompletion" in pipeline.contents(letter)[0]
    assert pipeline.replay(letter, NOW).accepted == 7
    assert spans() == 7
