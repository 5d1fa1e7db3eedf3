"""Prompts and completions: dropped by default; where they are kept, masked, and read by operators of their workspace
only."""

import pytest

from core.accounts import keys
from tests.people import browser_of, make_people
from tests.records import rows, scalar
from tests.telemetry.conftest import BODIES, PROTOBUF, Configure

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
