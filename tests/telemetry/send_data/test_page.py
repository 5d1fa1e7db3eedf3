"""The page Send data: a snippet for each client, a key in it, and what the portal understood of what arrived."""

import html
import json
import re

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts.models import ApiKey
from telemetry.send_data.clients import CLIENTS, KEY, SNIPPETS, URL
from telemetry.send_data.clients import Client as Snippet
from tests.people import People, browser_of, make_people
from tests.telemetry.conftest import Exporter
from tests.telemetry.otlp.test_protocol import chat, request


@pytest.fixture
def people(tables: None) -> People:
    return make_people()


def page_of(client: Client, query: str = "") -> str:
    answer = client.get(f"/send-data/{query}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def since(page: str) -> str:
    return re.findall(r"since=([\d.]+)", page)[0]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.slug)
def test_each_client_has_a_snippet_with_the_portals_address(people: People, client: Snippet) -> None:
    page = page_of(browser_of(people.teammate), f"?client={client.slug}")
    assert "http://testserver" in page
    assert "YOUR_API_KEY" in page
    assert URL not in page
    assert KEY not in page


def test_every_snippet_belongs_to_a_client() -> None:
    assert {path.stem for path in SNIPPETS.iterdir()} == {client.slug for client in CLIENTS}


def test_an_operator_makes_a_key_that_is_shown_once(people: People) -> None:
    owner = browser_of(people.owner)
    answer = owner.post("/send-data/?client=curl", {"workspace": "production"})
    assert answer.status_code == 201
    [plaintext] = set(re.findall(r"llmu_[\w-]+", answer.content.decode()))
    key = ApiKey.objects.latest("pk")
    assert (key.name, key.scopes, key.workspace.slug) == ("curl, one span", ["ingest"], "production")
    assert plaintext.startswith(key.prefix)
    assert plaintext not in page_of(owner, "?client=curl")


def test_a_key_is_made_by_operators_only(people: People) -> None:
    before = ApiKey.objects.count()
    assert browser_of(people.teammate).post("/send-data/", {"workspace": "production"}).status_code == 403
    assert browser_of(people.outsider).post("/send-data/", {"workspace": "production"}).status_code == 403
    assert Client().post("/send-data/", {"workspace": "production"}).status_code == 302
    assert ApiKey.objects.count() == before


def test_an_unknown_client_is_not_there(people: People) -> None:
    assert browser_of(people.owner).get("/send-data/?client=abacus").status_code == 404


def test_what_arrives_is_shown_with_what_it_became_and_what_is_missing(exporter: Exporter) -> None:
    people = make_people()
    viewer = browser_of(people.teammate)
    before = page_of(viewer)
    assert "Nothing yet" in before
    now = int(timezone.now().timestamp() * 1e9)
    times = {"startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now)}
    bare = chat(2, name="chat", attributes=[chat()["attributes"][0]], **times)
    other = chat(3, name="GET /", attributes=[], **times)
    exporter.post("/v1/traces", request(chat(1, **times), bare, other), "application/json")
    arrived = html.unescape(viewer.get(f"/send-data/arrived?since={since(before)}").content.decode())
    assert "Nothing yet" not in arrived
    assert arrived.count("llm_call") >= 1
    assert "openai / gpt-4o" in arrived
    assert "no model" in arrived
    assert "no token counts" in arrived
    assert "Neither a call of a model or tool" in arrived
    assert (
        "Nothing yet" in browser_of(people.outsider).get(f"/send-data/arrived?since={since(before)}").content.decode()
    )


@pytest.mark.parametrize("text", ["", "x", "nan", "1e999", "-1e18", "99999999999999"])
def test_any_since_is_answered(people: People, text: str) -> None:
    assert browser_of(people.owner).get(f"/send-data/arrived?since={text}").status_code == 200


def test_metrics_that_count_for_nothing_are_named(exporter: Exporter) -> None:
    people = make_people()
    viewer = browser_of(people.teammate)
    start = since(page_of(viewer))
    points = [{"count": "1", "sum": 0.2, "timeUnixNano": str(int(timezone.now().timestamp() * 1e9))}]
    names = ("mcp.server.operation.duration", "queue.depth\x00")
    metrics = [{"name": name, "histogram": {"aggregationTemporality": 2, "dataPoints": points}} for name in names]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "tools"}}]}
    body = json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}).encode()
    for _ in range(2):
        assert exporter.post("/v1/metrics", body, "application/json").content == b"{}"
    arrived = viewer.get(f"/send-data/arrived?since={start}").content.decode()
    assert "<code>mcp.server.operation.duration</code> of tools" in arrived
    assert arrived.count("<code>queue.depth") == 1
    outside = browser_of(people.outsider).get(f"/send-data/arrived?since={start}").content.decode()
    assert "mcp.server" not in outside
