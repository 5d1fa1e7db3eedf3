"""The usage of spans waits until those below them had time to arrive, and is then counted once."""

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core.accounts import keys
from core.accounts.models import Workspace
from telemetry.deciding import settle, waiting
from telemetry.store import sampling
from telemetry.store.reading import traces
from tests.records import NOW, measures, rows, scalar, settle_all
from tests.telemetry.conftest import BODIES, JSON, Configure, Exporter
from tests.telemetry.otlp.test_protocol import chat, request
from usage.ingest import pipeline
from usage.models import DeadLetter
from usage.store import writer

pytestmark = pytest.mark.usefixtures("old_spans")
BOTH_ENDS = ("mcp-sdk-stdio-client-traces.bin", "mcp-sdk-stdio-server-traces.bin")
TRACES = [(path.name,) for path in sorted(BODIES.glob("*-traces.bin")) if path.name not in BOTH_ENDS]


def cut(names: tuple[str, ...], draw: random.Random) -> list[bytes]:
    """The spans of some bodies as one request each or some together, in any order."""
    spans = []
    for name in names:
        for resource in ExportTraceServiceRequest.FromString((BODIES / name).read_bytes()).resource_spans:
            for scope in resource.scope_spans:
                spans += [(resource.resource, scope.scope, span) for span in scope.spans]
    draw.shuffle(spans)
    found = []
    while spans:
        size = draw.choice((1, 1, 1, 2, 5))
        part, spans = spans[:size], spans[size:]
        body = ExportTraceServiceRequest()
        for resource_of, scope_of, span in part:
            of_resource = body.resource_spans.add()
            of_resource.resource.CopyFrom(resource_of)
            of_scope = of_resource.scope_spans.add()
            of_scope.scope.CopyFrom(scope_of)
            of_scope.spans.add().CopyFrom(span)
        found.append(body.SerializeToString())
    return found


def counted(workspace: Workspace) -> dict[str, Any]:
    """All that a workspace's spans became."""
    own = f"workspace_id = {workspace.pk}"
    totals = rows(
        "SELECT d.kind, d.labels - 'workspace', t.measures[1] FROM usage_total t"
        " JOIN usage_dimension d ON d.id = t.dimension_id"
        " WHERE d.labels ->> 'workspace' = %s",
        workspace.slug,
    )
    return {
        "totals": sorted(totals, key=repr),
        "records": sorted(
            rows(
                "SELECT d.kind, r.trace_id, r.span_id, r.prompt_tokens, r.completion_tokens, r.cached_tokens,"
                " r.reasoning_tokens, r.cost_usd"
                f" FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id WHERE {own}"
            ),
            key=repr,
        ),
        "spans": rows(
            f"SELECT trace_id, span_id, counted_kind, counted_event, not_counted FROM telemetry_span WHERE {own}"
            " ORDER BY 1, 2"
        ),
        "traces": rows(
            "SELECT trace_id, spans, llm_calls, tool_calls, input_tokens, output_tokens, cached_tokens,"
            " reasoning_tokens,"
            f" round(cost_usd::numeric, 9) FROM telemetry_trace WHERE {own} ORDER BY 1"
        ),
    }


@pytest.mark.parametrize("names", [*TRACES, BOTH_ENDS], ids=lambda names: names[0])
def test_spans_in_any_order_and_requests_some_of_them_sent_again_count_as_all_at_once(
    exporter: Exporter, workspace: Workspace, names: tuple[str, ...]
) -> None:
    other = Workspace.objects.create(slug="other", name="Other")
    _, plaintext = keys.create_key("other", other, ["ingest", "backfill"])
    exporter.settles = False
    for name in names:
        exporter.send(name)
    draw = random.Random(names[0])
    pieces = Exporter(plaintext, exporter.client, settles=False)
    for body in cut(names, draw):
        for _ in range(draw.choice((1, 1, 2))):
            assert pieces.post("/v1/traces", body).status_code == 200
    assert rows("SELECT count(*) FROM usage_record") == [(0,)]
    settle_all()
    assert counted(other) == counted(workspace)
    assert counted(workspace)["totals"]
    assert scalar("SELECT count(*) FROM usage_deadletter") == 0


def test_the_outcome_of_a_tool_is_its_server_s_word_also_where_the_client_s_came_first(exporter: Exporter) -> None:
    exporter.settles = False
    for name in BOTH_ENDS:
        exporter.send(name)
    settle_all()
    found = rows(
        "SELECT d.labels ->> 'tool_name', d.labels ->> 'outcome' FROM usage_record r"
        " JOIN usage_dimension d ON d.id = r.dimension_id"
    )
    assert sorted(found) == [("add", "success"), ("boom", "error")]


def line(trace: int = 1) -> dict[str, dict[str, Any]]:
    """A wrapper, a span between, a call."""
    wrapper, between, call = (f"{16 * trace + place:016x}" for place in range(3))
    return {
        "wrapper": chat(trace, spanId=wrapper),
        "between": chat(trace, spanId=between, parentSpanId=wrapper, attributes=[]),
        "call": chat(trace, spanId=call, parentSpanId=between),
    }


def test_a_span_between_a_wrapper_and_its_call_may_come_last(exporter: Exporter) -> None:
    exporter.settles = False
    for name in ("wrapper", "call", "between"):
        exporter.post("/v1/traces", request(line()[name]), JSON)
    settle_all()
    assert (measures()["count"], measures()["prompt_tokens"]) == (1, 7)
    assert rows("SELECT spans, llm_calls, input_tokens::int FROM telemetry_trace") == [(3, 1, 7)]
    assert sorted(rows("SELECT not_counted FROM telemetry_span")) == [("",), ("counted below",), ("other",)]


def test_past_the_wait_what_was_counted_stays_and_what_comes_later_does_not_count(exporter: Exporter) -> None:
    for name in ("wrapper", "between", "call"):
        exporter.post("/v1/traces", request(line()[name]), JSON)  # and is decided, each for itself
    assert measures()["count"] == 1
    assert sorted(rows("SELECT not_counted FROM telemetry_span")) == [("",), ("counted above",), ("other",)]


def test_a_request_of_a_server_counts_as_a_gateway_s_where_its_call_comes_after_it(exporter: Exporter) -> None:
    exporter.settles = False
    given = [{"key": "http.route", "value": {"stringValue": "/chat"}}]
    served = chat(1, spanId=f"{9:016x}", kind=2, attributes=given)
    exporter.post("/v1/traces", request(served), JSON)
    exporter.post("/v1/traces", request(chat(1, parentSpanId=f"{9:016x}")), JSON)
    settle_all()
    assert sorted(rows("SELECT counted_kind FROM telemetry_span")) == [("gateway_request",), ("llm_call",)]
    assert scalar("SELECT count(*) FROM usage_record") == 2


def test_nothing_counts_before_its_time_and_the_span_s_page_says_that_it_waits(
    exporter: Exporter, workspace: Workspace
) -> None:
    exporter.settles = False
    exporter.post("/v1/traces", request(chat(1)), JSON)
    assert settle.settle(3600) == 0
    assert rows("SELECT count(*) FROM usage_record") == [(0,)]
    slugs = frozenset({workspace.slug})

    def waits() -> list[bool]:
        found = traces.read_trace(f"{1:032x}", slugs)
        return [span.waiting for span in found.spans] if found else []

    assert waits() == [True]
    assert settle.settle(0) == 1
    assert (waits(), settle.settle(0)) == ([False], 0)


def test_several_processes_at_once_count_each_request_once(exporter: Exporter) -> None:
    exporter.settles = False
    for trace in range(1, 13):
        for name in ("wrapper", "call", "between"):
            exporter.post("/v1/traces", request(line(trace)[name]), JSON)

    def run() -> None:
        settle.settle(0)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle_all()
    assert (measures()["count"], measures()["prompt_tokens"]) == (12, 84)


def test_what_can_never_be_counted_becomes_a_dead_letter_that_can_be_replayed(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter.settles = False
    exporter.post("/v1/traces", request(chat(1)), JSON)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "put", lambda *_: 1 / 0)
        assert settle.settle(0) == 0
    assert waiting.since() is None
    letter = DeadLetter.objects.get()
    assert '"prompt_tokens":7' in pipeline.contents(letter)[0]
    assert pipeline.replay(letter, NOW).accepted == 1
    assert measures("usage_rollup_15s")["count"] == 1


def test_while_postgres_is_away_usage_waits(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    exporter.settles = False
    exporter.post("/v1/traces", request(chat(1)), JSON)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "put", away)
        assert settle.settle(0) == 0
    assert waiting.since() is not None
    settle_all()
    assert measures()["count"] == 1


def test_a_request_whose_statement_is_cancelled_waits_and_stops_no_other(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter.settles = False
    for trace in (1, 2, 3):
        exporter.post("/v1/traces", request(chat(trace)), JSON)
    first = waiting.find_next(0, set())
    assert first is not None
    put = writer.put

    def slow(batch: writer.Batch, *given: Any) -> Any:
        if batch.receipt == first.receipt:
            with connections["default"].cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '5ms'; SELECT pg_sleep(10)")
        return put(batch, *given)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "put", slow)
        assert settle.settle(0) == 2
    assert rows("SELECT receipt FROM telemetry_waiting") == [(first.receipt,)]
    assert DeadLetter.objects.count() == 0
    assert settle.settle(0) == 1
    assert measures()["count"] == 3


def test_sampling_drops_no_trace_whose_usage_waits(exporter: Exporter, configure: Configure) -> None:
    configure(trace_keep=0.0)
    exporter.settles = False
    exporter.send("pydantic-ai-traces.bin")
    later = timezone.now() + timedelta(days=1)
    assert sampling.decide(later) == 0
    settle_all()
    assert sampling.decide(later) > 0


def test_how_long_usage_waited_is_not_how_long_it_took_to_store(exporter: Exporter) -> None:
    exporter.settles = False
    exporter.post("/v1/traces", request(chat(1)), JSON)
    with_waiting = "UPDATE telemetry_waiting SET since = since - interval '1 hour' RETURNING 1"
    scalar(f"WITH aged AS ({with_waiting}) SELECT count(*) FROM aged")
    settle_all()
    assert scalar("SELECT max(seconds) FROM usage_receipt") == 0
