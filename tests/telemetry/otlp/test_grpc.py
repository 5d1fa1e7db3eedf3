"""OTLP over gRPC, by the exporters of the real SDK and by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from django.db import connections
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from core.accounts.models import ApiKey
from portal.run.up import default_roles
from telemetry.otlp import grpc_server
from tests.records import Sender, scalar, settle_all
from tests.servers import free_port
from tests.telemetry.conftest import BODIES, Configure
from usage.ingest import spool

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BODY = (BODIES / "openinference-traces.bin").read_bytes()
pytestmark = pytest.mark.usefixtures("old_spans")


@contextmanager
def serving(**bounds: int) -> Iterator[str]:
    """The address of a server on the tests' database."""
    address = f"127.0.0.1:{free_port()}"
    server = grpc_server.make_server(address, **{"threads": 2, "max_bytes": 1_000_000, **bounds})
    server.start()
    yield address
    server.stop(None).wait()


@pytest.fixture(autouse=True)
def no_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's threads close theirs after each call: the tests' database has to go in the end."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@pytest.fixture
def address(sender: Sender) -> Iterator[str]:
    with serving() as found:
        yield found


def call(address: str, body: bytes, method: str = TRACES, **metadata: str) -> bytes:
    """One call with bytes as they are."""
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary(method)(body, metadata=list(metadata.items()), timeout=10)


def refusal(address: str, body: bytes, method: str = TRACES, **metadata: str) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        call(address, body, method, **metadata)
    return refused.value


def spans() -> int:
    return int(scalar("SELECT count(*) FROM telemetry_span"))


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_exporter_of_the_sdk_sends_spans_that_become_usage(
    address: str, sender: Sender, compression: grpc.Compression
) -> None:
    exporter = OTLPSpanExporter(
        endpoint=address,
        insecure=True,
        headers={"authorization": f"Bearer {sender.plaintext}"},
        compression=compression,
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("chat gpt-4o") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-4o")
        span.set_attribute("gen_ai.usage.input_tokens", 120)
        span.set_attribute("gen_ai.usage.output_tokens", 35)
    provider.shutdown()
    settle_all()
    assert spans() == 1
    assert scalar("SELECT prompt_tokens + completion_tokens FROM usage_record") == 155


def test_a_body_sent_over_both_transports_counts_once(address: str, sender: Sender) -> None:
    key = {"x-api-key": sender.plaintext}
    answer = call(address, BODY, **key)
    assert ExportTraceServiceResponse.FromString(answer) == ExportTraceServiceResponse()
    settle_all()
    counted = scalar("SELECT count(*) FROM usage_record")
    sender.client.post("/v1/traces", BODY, content_type="application/x-protobuf", HTTP_X_API_KEY=sender.plaintext)
    settle_all()
    assert (spans(), scalar("SELECT count(*) FROM usage_record")) == (7, counted)


def test_every_signal_has_its_service(address: str, sender: Sender) -> None:
    key = {"x-api-key": sender.plaintext}
    body = (BODIES / "sdk-logginghandler-logs.bin").read_bytes()
    call(address, body, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", **key)
    assert scalar("SELECT count(*) FROM telemetry_log") > 0
    unknown = refusal(address, b"", "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export", **key)
    assert unknown.code() is grpc.StatusCode.UNIMPLEMENTED


def test_without_a_good_key_nothing_is_taken(address: str, sender: Sender) -> None:
    assert refusal(address, BODY).code() is grpc.StatusCode.UNAUTHENTICATED
    assert refusal(address, BODY, authorization="Bearer llmu_no").code() is grpc.StatusCode.UNAUTHENTICATED
    ApiKey.objects.update(scopes=["query"])
    assert refusal(address, BODY, **{"x-api-key": sender.plaintext}).code() is grpc.StatusCode.PERMISSION_DENIED
    assert spans() == 0


def test_what_cannot_be_read_is_the_senders_fault_and_not_tried_again(address: str, sender: Sender) -> None:
    refused = refusal(address, b"\xff\xff\xff", **{"x-api-key": sender.plaintext})
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(refused).details == []


def details(refused: grpc.RpcError) -> Status:
    """google.rpc.Status among the trailing metadata."""
    return Status.FromString(dict(refused.trailing_metadata())["grpc-status-details-bin"])


def test_a_message_larger_than_allowed_is_refused_also_where_it_is_packed(sender: Sender) -> None:
    with serving(max_bytes=1000) as address, grpc.insecure_channel(address) as channel:
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(TRACES)(
                    bytes(5000), metadata=[("x-api-key", sender.plaintext)], timeout=10, compression=compression
                )
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_where_nothing_can_be_made_durable_the_client_is_told_when_to_come_back(
    address: str, sender: Sender, monkeypatch: pytest.MonkeyPatch, configure: Configure
) -> None:
    monkeypatch.setattr("telemetry.store.span_writer.insert", _away)
    configure(spool_max_bytes=1)
    refused = refusal(address, BODY, **{"x-api-key": sender.plaintext})
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    retry = RetryInfo()
    assert details(refused).details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 10
    assert spool.files() == []


def _away(*_: object) -> None:
    raise OSError("away")


def test_the_role_runs_where_its_port_is_set(configure: Configure) -> None:
    assert "otlp" not in default_roles(configure(otlp_grpc_port=0))
    assert default_roles(configure(otlp_grpc_port=4317))[-1] == "otlp"
