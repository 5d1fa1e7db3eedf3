"""Logs in: what real clients sent, each record once, without content."""

import json
from typing import Any

import pytest

from tests.records import NOW, rows, scalar
from tests.telemetry.conftest import JSON, Configure, Exporter

pytestmark = pytest.mark.usefixtures("old_spans")


def line(**changes: Any) -> bytes:
    """A log record of OTLP/JSON."""
    record = {
        "timeUnixNano": str(int(NOW.timestamp() * 1e9)),
        "severityNumber": 9,
        "body": {"stringValue": "payment accepted"},
        **changes,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}).encode()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("litellm-logs.bin", 5),
        ("openai-v2-default-logs.bin", 10),
        ("openai-v2-latest-logs.bin", 6),
        ("sdk-logginghandler-logs.bin", 2),
    ],
)
def test_a_body_of_logs_is_kept_once_and_counts_for_nothing(exporter: Exporter, name: str, count: int) -> None:
    for _ in range(2):
        answer = exporter.send(name)
        assert (answer.status_code, answer.content) == (200, b"")
        assert scalar("SELECT count(*) FROM telemetry_log") == count
    assert scalar("SELECT count(*) FROM usage_record") == 0


def test_severity_body_attributes_exception_and_ids_are_kept(exporter: Exporter) -> None:
    exporter.send("sdk-logginghandler-logs.bin")
    found = rows(
        "SELECT severity, severity_text, service, scope, body, exception_type, trace_id IS NOT NULL, span_id IS NOT"
        " NULL"
        " FROM telemetry_log ORDER BY at"
    )
    assert found == [
        (
            9,
            "INFO",
            "client-sdk-logginghandler",
            "app.llm",
            "llm call finished model=gpt-4o-mini tokens=155",
            "",
            True,
            True,
        ),
        (17, "ERROR", "client-sdk-logginghandler", "app.llm", "tool failed", "ZeroDivisionError", True, True),
    ]
    assert json.loads(scalar("SELECT attributes::text FROM telemetry_log WHERE severity = 9"))["tags"] == ["a", "b"]


def test_what_models_and_people_wrote_is_dropped(exporter: Exporter) -> None:
    exporter.send("litellm-logs.bin")
    exporter.send("openai-v2-latest-logs.bin")
    text = scalar("SELECT string_agg(l::text, ' ') FROM telemetry_log l")
    assert "Hello" not in text
    assert '"hi"' not in text
    assert scalar("SELECT count(*) FROM telemetry_log WHERE content IS NOT NULL") == 0
    assert scalar("SELECT min(dropped) FROM telemetry_log") > 0


def test_content_is_kept_masked_where_it_is_to_be(exporter: Exporter, configure: Configure) -> None:
    configure(telemetry_content="store", telemetry_mask="tenant-[0-9]+")
    said = "I am ann@example.org of tenant-17, card 4111 1111 1111 1111, key sk-abcdefghijklmnop1234"
    body = line(eventName="gen_ai.user.message", body={"stringValue": said})
    exporter.post("/v1/logs", body, JSON)
    assert json.loads(scalar("SELECT content::text FROM telemetry_log")) == {
        "body": "I am [masked] of [masked], card [masked], key [masked]"
    }
    assert scalar("SELECT body FROM telemetry_log") == "gen_ai.user.message"


def test_a_body_that_is_no_text_is_kept_as_json_and_a_long_one_is_cut(exporter: Exporter) -> None:
    exporter.post("/v1/logs", line(body={"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}), JSON)
    exporter.post("/v1/logs", line(body={"stringValue": "word " * 100_000}), JSON)
    exporter.post("/v1/logs", line(body=None, severityNumber=None, timeUnixNano=None), JSON)
    assert rows("SELECT left(body, 10), length(body) FROM telemetry_log ORDER BY length(body)") == [
        ("", 0),
        ('{"a":1}', 7),
        ("word word ", 65_537),
    ]


def test_records_out_of_bounds_are_refused(exporter: Exporter, configure: Configure) -> None:
    configure(retention_logs_days=1)
    answer = exporter.post("/v1/logs", line(), JSON)
    assert answer.json()["partialSuccess"] == {
        "rejectedLogRecords": "1",
        "errorMessage": "a log record older than this key may send",
    }
    answer = exporter.post("/v1/logs", line(timeUnixNano="9000000000000000000"), JSON)
    assert "ahead of the server's clock" in answer.json()["partialSuccess"]["errorMessage"]
    assert scalar("SELECT count(*) FROM telemetry_log") == 0
