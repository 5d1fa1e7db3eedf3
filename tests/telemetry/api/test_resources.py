"""Traces and logs for programs: the pages' searches, page by page, of the caller's workspaces only."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts.models import Workspace
from telemetry.samples import demo_traces
from tests.people import browser_of, make_people
from tests.portal.api.world import client_with, key_of
from tests.records import rows, scalar

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def program(tables: None) -> Any:
    """A program whose key reads the demo's workspace, which has executions of the last 20 minutes."""
    now = timezone.now()
    demo_traces.backfill(now - timedelta(minutes=20), now, now)
    return client_with(key_of(Workspace.objects.get(slug="demo"), "query"))


def read_all(program: Any, address: str) -> list[dict[str, Any]]:
    """The results of all pages."""
    found: list[dict[str, Any]] = []
    while address:
        answer = program.get(address)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        found += page["results"]
        address = page["next"]
    return found


def test_the_pages_of_a_list_have_every_trace_once_newest_first(program: Any) -> None:
    found = read_all(program, "/api/v1/traces?range=1h&page_size=7")
    assert [one["trace_id"] for one in found] == [
        trace.hex for (trace,) in rows("SELECT trace_id FROM telemetry_trace ORDER BY start DESC, trace_id DESC")
    ]
    assert found[0].keys() >= {"workspace", "start", "duration_seconds", "root_name", "cost_usd", "url"}
    assert found[0]["url"].endswith(f"/traces/{found[0]['trace_id']}/")


def test_the_filters_are_those_of_the_page(program: Any) -> None:
    failed = read_all(program, "/api/v1/traces?range=1h&q=status%3Derror&q=agent%3Drefund-agent")
    assert len(failed) == scalar(
        "SELECT count(*) FROM telemetry_trace WHERE errors > 0 AND facets @> '{agent:refund-agent}'"
    )
    assert {"refund-agent"} <= set(failed[0]["facets"]["agent"])
    refused = program.get("/api/v1/traces?q=duration%3D3")
    assert refused.status_code == 400
    assert "write > or <" in refused.json()["detail"]


def test_one_trace_is_otlp_json_as_it_is_downloaded(program: Any) -> None:
    [(trace,)] = rows("SELECT trace_id FROM telemetry_trace ORDER BY spans DESC, trace_id LIMIT 1")
    answer = program.get(f"/api/v1/traces/{trace.hex}")
    downloaded = browser_of(make_people().admin).get(f"/traces/{trace.hex}/otlp.json")
    assert json.loads(answer.content) == json.loads(downloaded.content)


def test_logs_are_searched_page_by_page(program: Any) -> None:
    found = read_all(program, "/api/v1/logs?range=1h&q=severity%3Dwarn&q=service%3Dsupport-desk&page_size=5")
    assert len(found) == scalar("SELECT count(*) FROM telemetry_log WHERE severity >= 13 AND service = 'support-desk'")
    assert len({one["at"] + one["body"] for one in found}) == len(found)
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    assert {one["level"] for one in found} <= {"warn", "error", "fatal"}
    assert program.get("/api/v1/logs?q=severity%3Dloud").status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("cursor=nonsense", 404),
        ("page_size=0", 400),
        ("page_size=many", 400),
        ("from=tomorrow", 400),
        ("q=%00", 200),
        ("cursor=1-" + "0" * 32, 200),
    ],
)
@pytest.mark.parametrize("resource", ["traces", "logs"])
def test_what_cannot_be_read_is_refused(program: Any, resource: str, query: str, status: int) -> None:
    assert program.get(f"/api/v1/{resource}?{query}").status_code == status


def test_nobody_reads_the_traces_and_logs_of_other_workspaces(program: Any) -> None:
    people = make_people()
    [(trace,)] = rows("SELECT trace_id FROM telemetry_trace LIMIT 1")
    outsider: Client = browser_of(people.outsider)
    assert outsider.get(f"/api/v1/traces/{trace.hex}").status_code == 404
    assert outsider.get("/api/v1/traces?workspace=demo").status_code == 404
    for resource in ("traces", "logs"):
        assert outsider.get(f"/api/v1/{resource}").json() == {"next": None, "results": []}
    ingesting = client_with(key_of(Workspace.objects.get(slug="demo"), "ingest"))
    assert ingesting.get("/api/v1/traces").status_code == 403
