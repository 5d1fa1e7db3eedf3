"""Jaeger's query API, asked as Jaeger's UI asks it (recorded requests), answered in Jaeger's shapes."""

import json
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from core.accounts.keys import create_key
from core.accounts.models import Workspace
from tests.people import browser_of
from tests.portal.jaeger.client import Jaeger, window
from tests.records import rows, scalar
from tests.telemetry.conftest import JSON, Exporter
from tests.telemetry.otlp.test_protocol import chat, request

pytestmark = pytest.mark.django_db(transaction=True)


def test_services_and_their_operations(jaeger: Jaeger) -> None:
    assert jaeger.ask("/api/services") == {
        "data": ["chat-widget", "code-review", "knowledge", "nightly-summaries", "support-desk"],
        "total": 5,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    names = jaeger.data("/api/services/support-desk/operations")
    assert {"answer-ticket", "chat gpt-4o-mini"} <= set(names)
    kinds = jaeger.data("/api/operations?service=support-desk&spanKind=server")
    assert kinds == [{"name": "answer-ticket", "spanKind": "server"}]


def test_the_search_of_jaeger_s_ui(jaeger: Jaeger) -> None:
    start, end = window()
    path = (
        f"/api/traces?end={end}&limit=20&lookback=1h&maxDuration&minDuration"
        f"&operation=answer-ticket&service=support-desk&start={start}"
    )
    found = jaeger.data(path)
    assert len(found) == min(20, scalar("SELECT count(*) FROM telemetry_trace WHERE root_name = 'answer-ticket'"))
    trace = found[0]
    assert set(trace) == {"traceID", "spans", "processes", "warnings"}
    roots = [span for span in trace["spans"] if not span["references"]]
    assert [root["operationName"] for root in roots] == ["answer-ticket"]
    root = roots[0]
    assert set(root) == {
        "traceID", "spanID", "flags", "operationName", "references", "startTime", "duration", "tags", "logs",
        "processID", "warnings",
    }  # fmt: skip
    assert {"key": "span.kind", "type": "string", "value": "server"} in root["tags"]
    assert trace["processes"][root["processID"]]["serviceName"] == "support-desk"
    assert start < root["startTime"] < end
    child = next(span for span in trace["spans"] if span["references"])
    assert child["references"][0].keys() == {"refType", "traceID", "spanID"}
    tags = quote(json.dumps({"error": "true", "http.response.status_code": "503"}))
    failed = jaeger.data(f"{path}&tags={tags}")
    assert all(
        any(tag["key"] == "error" and tag["value"] is True for span in one["spans"] for tag in span["tags"])
        for one in failed
    )


def test_the_recorded_requests_of_jaeger_s_ui_are_answered(jaeger: Jaeger) -> None:
    """As they were sent, but for the times, which are now, and the ids, which are those of this portal."""
    start, end = window()
    ids = [one["traceID"] for one in jaeger.data(f"/api/traces?service=support-desk&start={start}&end={end}")]
    lines = (Path(__file__).parent / "jaeger-ui-requests.txt").read_text().splitlines()[1:]
    recorded = dict.fromkeys(re.findall("[0-9a-f]{32}", " ".join(lines)))
    for old, new in zip(recorded, ids, strict=False):
        lines = [line.replace(old, new) for line in lines]
    lines = [re.sub("(?<=end=)[0-9]+", str(end), re.sub("(?<=start=)[0-9]+", str(start), line)) for line in lines]
    lines = [re.sub("(?<=endTs=)[0-9]+", str(end // 1000), line) for line in lines]
    *good, unknown, malformed = [line.removeprefix("GET ") for line in lines]
    services, names, served, found, failed, chosen, one, links = [jaeger.data(path) for path in good]
    assert "support-desk" in services
    assert "answer-ticket" in names
    assert served == [{"name": "answer-ticket", "spanKind": "server"}]
    assert [trace["traceID"] for trace in found] == ids
    assert len(failed) < len(found)
    assert [trace["traceID"] for trace in chosen] == ids[:3]
    assert one == [found[0]]
    assert [link["child"] for link in links] == ["knowledge"]
    assert jaeger.ask(unknown, 404)["errors"] == [{"code": 404, "msg": "trace not found"}]
    assert jaeger.ask(malformed, 400)["errors"][0]["msg"].startswith("malformed 'tags' parameter")


def test_requests_as_the_source_of_the_ui_writes_them(jaeger: Jaeger) -> None:
    """jaeger-ui's src/api/jaeger.js escapes services and asks for dependencies of a week."""
    now = int(timezone.now().timestamp() * 1000)
    assert jaeger.data(f"/api/dependencies?endTs={now}&lookback=604800000")
    assert jaeger.data("/api/services/support%2Ddesk/operations") == jaeger.data(
        "/api/services/support-desk/operations"
    )
    assert jaeger.data("/api/services/no%2Fsuch/operations") == []


def test_what_is_wrong_is_answered_in_jaeger_s_shape(jaeger: Jaeger) -> None:
    assert jaeger.ask(f"/api/traces/{'0' * 31}1", 404)["errors"] == [{"code": 404, "msg": "trace not found"}]
    for path in (
        "/api/traces",
        "/api/operations",
        "/api/traces?service=a&tags=%7B",
        "/api/traces?service=a&tag=x",
        "/api/traces?service=a&minDuration=long",
        "/api/traces?service=a&start=x",
        "/api/traces?service=a&end=999999999999999999",
        "/api/dependencies?endTs=1&lookback=999999999999999999",
    ):
        assert jaeger.ask(path, 400)["errors"][0]["code"] == 400
    assert Client().get("/api/services").status_code == 401


def test_a_key_sees_its_own_workspace_only(jaeger: Jaeger) -> None:
    other = Jaeger("elsewhere")
    start, end = window()
    assert other.data("/api/services") == []
    assert other.data(f"/api/traces?service=support-desk&start={start}&end={end}") == []
    [(trace,), *_] = rows("SELECT trace_id FROM telemetry_trace LIMIT 1")
    other.ask(f"/api/traces/{trace.hex}", 404)


def test_many_ids_are_one_query_and_workspaces_are_not_mixed(tables: None) -> None:
    ids = []
    for slug in ("one", "two"):
        workspace = Workspace.objects.create(slug=slug, name=slug)
        sender = Exporter(create_key(slug, workspace, ["ingest"])[1], Client())
        now = time.time_ns()
        for trace in range(1, 4):
            span = chat(trace, name=f"chat of {slug}", startTimeUnixNano=now, endTimeUnixNano=now + 1)
            assert sender.post("/v1/traces", request(span), JSON).content == b"{}"
            ids.append(span["traceId"])
    admin = browser_of(User.objects.create_superuser("admin"))

    def ask(path: str) -> list[tuple[str, list[str]]]:
        with CaptureQueriesContext(connection) as captured:
            found = admin.get(path).json()["data"]
        counted.append(len(captured))
        return [(one["traceID"], [span["operationName"] for span in one["spans"]]) for one in found]

    counted: list[int] = []
    one = ids[0]
    apart = [(one, ["chat of one"]), (one, ["chat of two"])]
    assert ask(f"/api/traces/{one}") == ask(f"/api/traces?traceID={one.lstrip('0')}") == apart
    assert len(ask("/api/traces?traceID=x&" + "&".join(f"traceID={trace}" for trace in ids))) == 6
    assert len(set(counted)) == 1
    for slug, other in (("one", "two"), ("two", "one")):
        page = admin.get(f"/traces/{one}/?workspace={slug}").content.decode()
        assert f"chat of {slug}" in page
        assert f"chat of {other}" not in page
        assert f'<a href="?workspace={other}">{other}</a> has a trace of this id too' in page
        assert f'/spans/0000000000000000/?workspace={slug}"' in page
        assert admin.get(f"/traces/{one}/records/?workspace={slug}").content.count(b"/ingestion/receipts/") == 1


def test_exemplars_of_a_latency_chart_lead_to_its_traces(jaeger: Jaeger) -> None:
    end = timezone.now().timestamp()
    query = quote(
        'histogram_quantile(0.95, sum by (le) (rate(llm_provider_request_seconds_bucket{model="gpt-4o-mini"}[5m])))'
    )
    found = jaeger.ask(f"/api/v1/query_exemplars?query={query}&start={end - 3600}&end={end}")["data"]
    assert found
    assert {one["seriesLabels"]["model"] for one in found} == {"gpt-4o-mini"}
    exemplar = found[0]["exemplars"][0]
    assert end - 3600 <= exemplar["timestamp"] <= end
    [trace] = jaeger.data(f"/api/traces/{exemplar['labels']['trace_id']}")
    span = next(one for one in trace["spans"] if one["spanID"] == exemplar["labels"]["span_id"])
    assert span["duration"] / 1e6 == pytest.approx(float(exemplar["value"]), rel=1e-4)
    assert jaeger.ask("/api/v1/query_exemplars?query=up&start=9&end=1")["data"] == []
    jaeger.ask("/api/v1/query_exemplars?query=mcp_tool_execute_seconds_bucket&start=1e15&end=1e16", 400)
    assert Jaeger("elsewhere").ask(f"/api/v1/query_exemplars?query={query}&start={end - 3600}&end={end}")["data"] == []


def test_buckets_of_openmetrics_lead_to_traces_and_plain_text_is_as_before(jaeger: Jaeger) -> None:
    client = Client()
    text = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).content.decode()
    found = [
        (sample, sample.exemplar)
        for family in parse_openmetrics(text)
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert found
    for sample, exemplar in found:
        assert sample.name.endswith("_seconds_bucket")
        assert exemplar.value <= float(sample.labels["le"])
        assert jaeger.ask(f"/api/traces/{exemplar.labels['trace_id']}")["data"]
    assert "trace_id" not in client.get("/metrics").content.decode()
