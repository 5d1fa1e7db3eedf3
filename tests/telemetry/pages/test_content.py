"""Prompts and completions: dropped by default; where they are kept, masked, and read by operators of their workspace
only."""

import json
import re

import pytest

from core.accounts import keys
from tests.people import browser_of, make_people
from tests.records import rows, scalar, settle_all
from tests.telemetry.conftest import BODIES, JSON, PROTOBUF, Configure
from tests.telemetry.otlp.test_protocol import START, chat, request

pytestmark = [pytest.mark.usefixtures("old_spans", "tables")]
BODY = (BODIES / "openinference-traces.bin").read_bytes().replace(b"Hello", b"a@b.c")
SECRET = "a@b.c"


def test_content_is_read_by_operators_of_its_workspace_only(configure: Configure) -> None:
    configure(telemetry_content="store", telemetry_mask=r"a@b\.c")
    people = make_people()
    _, key = keys.create_key("app", people.production, ["ingest", "backfill"])
    owner, teammate, outsider, admin = (
        browser_of(one) for one in (people.owner, people.teammate, people.outsider, people.admin)
    )
    answer = owner.post("/v1/traces", BODY, content_type=PROTOBUF, HTTP_AUTHORIZATION=f"Bearer {key}")
    assert answer.status_code == 200
    stored = scalar("SELECT string_agg(content::text, '') FROM telemetry_span")
    assert (SECRET in stored, "[masked]" in stored) == (False, True)
    [(trace_id,), *_] = rows("SELECT trace_id FROM telemetry_span WHERE content::text LIKE %s", "%llm.output_messages%")
    page = f"/traces/{trace_id.hex}/"
    seen = {name: one.get(page) for name, one in (("owner", owner), ("teammate", teammate), ("admin", admin))}
    assert "llm.input_messages.0.message.content" in seen["owner"].content.decode()
    assert "llm.input_messages.0.message.content" in seen["admin"].content.decode()
    assert "llm.input_messages.0.message.content" not in seen["teammate"].content.decode()
    assert outsider.get(page).status_code == 404


def test_content_is_dropped_by_default() -> None:
    people = make_people()
    _, key = keys.create_key("app", people.production, ["ingest", "backfill"])
    client = browser_of(people.owner)
    client.post("/v1/traces", BODY, content_type=PROTOBUF, HTTP_AUTHORIZATION=f"Bearer {key}")
    assert scalar("SELECT count(*) FROM telemetry_span WHERE content IS NOT NULL") == 0
    assert SECRET not in scalar("SELECT string_agg(s::text, '') FROM telemetry_span s")
    assert scalar("SELECT min(dropped) FROM telemetry_span") > 0


def test_a_log_s_content_is_shown_to_operators_of_its_workspace_only(configure: Configure) -> None:
    configure(telemetry_content="store", telemetry_mask="sunny")
    people = make_people()
    _, key = keys.create_key("app", people.production, ["ingest", "backfill"])
    body = (BODIES / "openai-v2-latest-logs.bin").read_bytes()
    owner, teammate, outsider = (browser_of(one) for one in (people.owner, people.teammate, people.outsider))
    assert owner.post("/v1/logs", body, content_type=PROTOBUF, HTTP_AUTHORIZATION=f"Bearer {key}").status_code == 200
    [(at, digest, content)] = rows(
        "SELECT (extract(epoch FROM at) * 1000000)::bigint, digest, content FROM telemetry_log"
        " WHERE content IS NOT NULL LIMIT 1"
    )
    url = f"/logs/content/{at}-{digest.hex}/"
    times = f"?from={at // 1000 - 3_600_000}&to={at // 1000 + 3_600_000}"
    name = next(iter(content))
    assert url in owner.get(f"/logs/{times}").content.decode()
    assert name in owner.get(url).content.decode()
    assert url not in teammate.get(f"/logs/{times}").content.decode()
    assert "for operators of the workspace" in teammate.get(f"/logs/{times}").content.decode()
    assert (teammate.get(url).status_code, outsider.get(url).status_code) == (404, 404)


def test_a_span_shows_its_price_its_events_its_links_and_what_was_logged_in_it() -> None:
    people = make_people()
    _, key = keys.create_key("app", people.production, ["ingest", "backfill"])
    owner = browser_of(people.owner)
    given = {"HTTP_AUTHORIZATION": f"Bearer {key}", "content_type": JSON}
    link = {
        "traceId": "b" * 32,
        "spanId": "c" * 16,
        "attributes": [{"key": "why", "value": {"stringValue": "retry of"}}],
    }
    event = {
        "name": "exception",
        "timeUnixNano": str(START + 250_000_000),
        "attributes": [{"key": "exception.type", "value": {"stringValue": "TimeoutError"}}],
    }
    first = {"key": "gen_ai.response.time_to_first_chunk", "value": {"doubleValue": 0.25}}
    span = chat(1, links=[link], events=[event], status={"code": 1})
    span["attributes"].append(first)
    owner.post("/v1/traces", request(span), **given)
    line = {
        "timeUnixNano": str(START + 1),
        "severityNumber": 13,
        "body": {"stringValue": "asking again"},
        "traceId": span["traceId"],
        "spanId": span["spanId"],
    }
    owner.post("/v1/logs", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [line]}]}]}).encode(), **given)
    settle_all()
    page = " ".join(owner.get(f"/traces/{span['traceId']}/spans/{span['spanId']}/").content.decode().split())
    assert '<span class="badge ok">once</span> llm_call' in page
    assert re.search(r"receipt <time", page)
    assert "per M tokens in / cached / out" in page
    assert "<span>First token</span><b>250 ms</b>" in page
    assert '<b class="critical-text">exception</b> <span class="hint">250 ms after its start' in page
    assert "<dt>exception.type</dt> <dd>TimeoutError</dd>" in page
    assert f"/traces/{'b' * 32}/?span={'c' * 16}" in page
    assert "<dt>why</dt> <dd>retry of</dd>" in page
    assert "<b>warn</b> asking again" in page
    assert "/alerts/meanwhile?from=" in page
