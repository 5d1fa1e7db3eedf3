"""A call counts once, whoever describes it and in whatever order."""

import threading
from typing import Any

import pytest
from django.db import connections

from tests.records import Sender, call, measures, rows, scalar
from tests.telemetry.conftest import JSON, Exporter
from tests.telemetry.otlp.test_protocol import chat, request

pytestmark = pytest.mark.usefixtures("old_spans")
IDS = {"trace_id": f"{1:032x}", "span_id": f"{1:016x}"}


def test_a_record_and_a_span_of_the_same_ids_count_once_whichever_comes_first(
    sender: Sender, exporter: Exporter
) -> None:
    assert sender.post([call(**IDS)]).json()["accepted"] == 1
    exporter.post("/v1/traces", request(chat(1)), JSON)
    assert measures()["count"] == 1
    assert rows("SELECT counted_kind, not_counted FROM telemetry_span") == [("", "known")]
    exporter.post("/v1/traces", request(chat(2)), JSON)
    answer = sender.post([call(trace_id=f"{2:032X}", span_id=f"{2:016x}"), call()]).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert measures()["count"] == 3


def test_records_of_one_span_and_other_kinds_or_ids_count_each(sender: Sender, exporter: Exporter) -> None:
    assert sender.post([call(**IDS), call(**IDS)]).json()["accepted"] == 2
    assert sender.post([call(**IDS)]).json()["accepted"] == 1
    tool = {"kind": "tool_call", "tool_name": "t", "server_id": "s", "at": call()["at"], **IDS}
    exporter.post("/v1/traces", request(chat(2)), JSON)
    assert sender.post([tool, call(trace_id="mine", span_id="mine")]).json()["accepted"] == 2
    assert scalar("SELECT count(*) FROM usage_record") == 6


def test_a_record_and_its_span_that_come_at_once_count_once(sender: Sender, exporter: Exporter) -> None:
    numbers = range(1, 9)

    def post(what: Any) -> None:
        for number in numbers:
            what(number)
        connections.close_all()

    records = threading.Thread(
        target=post,
        args=(lambda number: sender.post([call(trace_id=f"{number:032x}", span_id=f"{number:016x}")]),),
    )
    spans = threading.Thread(
        target=post, args=(lambda number: exporter.post("/v1/traces", request(chat(number)), JSON),)
    )
    for thread in (records, spans):
        thread.start()
    for thread in (records, spans):
        thread.join()
    assert scalar("SELECT count(DISTINCT trace_id) FROM usage_record") == len(numbers)
    assert measures()["count"] == len(numbers)


def test_a_wrapper_in_a_later_batch_and_one_in_an_earlier_batch_count_nothing_twice(exporter: Exporter) -> None:
    for number, order in ((1, ("call", "wrapper")), (2, ("wrapper", "call"))):
        spans = {
            "wrapper": chat(number, spanId=f"{number + 16:016x}"),
            "call": chat(number, parentSpanId=f"{number + 16:016x}"),
        }
        for name in order:
            exporter.post("/v1/traces", request(spans[name]), JSON)
    assert (measures()["count"], measures()["prompt_tokens"]) == (2, 14)
    assert sorted(rows("SELECT not_counted, count(*) FROM telemetry_span GROUP BY 1")) == [
        ("", 2),
        ("counted above", 1),
        ("counted below", 1),
    ]
    assert rows("SELECT spans, llm_calls, input_tokens::int FROM telemetry_trace") == [(2, 1, 7)] * 2


def test_a_litellm_call_counts_once_from_its_callback_and_from_its_spans(exporter: Exporter) -> None:
    exporter.send("litellm-generic_api.json")
    before = measures()
    call_id = scalar("SELECT attributes ->> 'litellm.call_id' FROM telemetry_span LIMIT 1")
    attributes = [{"key": "gen_ai.operation.name", "value": {"stringValue": "acompletion"}}]
    attributes.append({"key": "litellm.call_id", "value": {"stringValue": call_id}})
    at = scalar("SELECT (extract(epoch FROM at) * 1e9)::bigint::text FROM usage_record LIMIT 1")
    span = chat(9, attributes=attributes, startTimeUnixNano=at, endTimeUnixNano=at)
    exporter.post("/v1/traces", request(span), JSON)
    assert measures() == before
