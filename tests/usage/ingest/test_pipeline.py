"""1-4: records in over HTTP, each counted exactly once."""

import gzip
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.accounts import keys
from core.accounts.models import Workspace
from portal.env import Config
from tests.records import NOW, Sender, call, measures, rows, scalar
from usage.models import DeadLetter, Dimension, Receipt, Record

pytestmark = pytest.mark.usefixtures("fixed_time")

EVERY_KIND: list[dict[str, Any]] = [
    {"kind": "llm_call", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 5, "completion_tokens": 1},
    {"kind": "tool_call", "server_id": "web", "tool_name": "fetch", "outcome": "error", "error_kind": "timeout"},
    {"kind": "execution", "agent_id": "a", "status": "failed", "component": "workflow", "duration_seconds": 3},
    {"kind": "gateway_request", "gateway_id": "g", "method": "POST", "status": 200, "duration_seconds": 0.1},
    {"kind": "registry_lookup", "outcome": "hit", "duration_seconds": 0.00005},
    {"kind": "factory_create", "factory_type": "tool", "name": "n", "duration_seconds": 0.001},
    {"kind": "gauge", "metric": "mcp_server_connections_active", "labels": {"server_id": "web"}, "value": 3},
]


def test_every_kind_is_stored(sender: Sender) -> None:
    answer = sender.post(EVERY_KIND)
    assert answer.status_code == 200
    assert {**answer.json(), "receipt": ""} == {"receipt": "", "accepted": 7, "duplicates": 0, "rejected": []}
    assert sorted(rows("SELECT d.kind FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id")) == sorted(
        (record["kind"],) for record in EVERY_KIND
    )
    receipt = Receipt.objects.get()
    assert (str(receipt.id), receipt.accepted, receipt.state) == (answer.json()["receipt"], 7, "stored")


@pytest.mark.parametrize("form", ["single", "array", "ndjson", "gzip"])
def test_each_form_of_a_body_is_read(sender: Sender, form: str) -> None:
    records = [call(), call()][: 1 if form == "single" else 2]
    body = json.dumps(records[0] if form == "single" else records).encode()
    headers = {}
    if form == "ndjson":
        body = b"\n".join(json.dumps(record).encode() for record in records) + b"\n"
    if form == "gzip":
        body, headers = gzip.compress(body), {"HTTP_CONTENT_ENCODING": "gzip"}
    assert sender.post(body, **headers).json()["accepted"] == len(records)
    assert Record.objects.count() == len(records)


def test_retry_of_a_batch_changes_nothing(sender: Sender) -> None:
    batch = [call(), call(at=None), call(at=NOW.timestamp())]
    first = sender.post(batch).json()
    before = measures(), rows("SELECT * FROM usage_rollup_15s ORDER BY bucket, dimension_id")
    again = sender.post(batch).json()
    assert (first["accepted"], again["accepted"], again["duplicates"]) == (3, 0, 3)
    assert Record.objects.count() == 3
    assert (measures(), rows("SELECT * FROM usage_rollup_15s ORDER BY bucket, dimension_id")) == before


def test_doubles_within_a_batch_count_once(sender: Sender) -> None:
    record = call()
    assert sender.post([record, record, call()]).json()["duplicates"] == 1
    assert measures()["count"] == 2


def test_another_method_is_refused_in_the_api_s_words(sender: Sender) -> None:
    answer = sender.client.get("/api/v1/usage")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert answer.json() == {"error": "GET is not allowed here; send a POST"}
    assert sender.client.post(f"/api/v1/receipts/{uuid.uuid4()}")["Allow"] == "GET"


def test_an_event_is_one_within_the_day_that_it_names(sender: Sender) -> None:
    record = call()
    assert sender.post([record]).json()["accepted"] == 1
    assert sender.post([{**record, "at": (NOW + timedelta(hours=3)).isoformat()}]).json()["duplicates"] == 1
    assert sender.post([{**record, "at": (NOW + timedelta(days=1)).isoformat()}]).json()["accepted"] == 1
    assert measures()["count"] == 2


def test_an_event_that_names_no_time_is_one_whenever_it_comes(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [call(at=None), call(at=None), call()]
    assert sender.post(batch).json()["accepted"] == 3
    later = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert sender.post([*batch, call(at=None)]).json()["duplicates"] == 3


def test_two_workspaces_may_be_sent_the_same_event(sender: Sender) -> None:
    batch = [call(), call(at=None)]
    key, plaintext = keys.create_key(
        "mirror", Workspace.objects.create(slug="staging", name="Staging"), ["ingest", "backfill"]
    )
    mirror = Sender(key, plaintext, sender.client)
    assert [sender.post(batch).json()["accepted"], mirror.post(batch).json()["accepted"]] == [2, 2]
    assert [sender.post(batch).json()["duplicates"], mirror.post([*batch, call()]).json()["duplicates"]] == [2, 2]
    assert Record.objects.count() == 5


def test_a_bad_record_is_refused_and_the_good_ones_are_kept(sender: Sender) -> None:
    bad = [
        call(prompt_tokens=-1),
        {"kind": "nonsense"},
        {"no": "kind"},
        call(promt_tokens=1),
        call(at=(NOW + timedelta(days=36_500)).isoformat()),
        call(workspace="other"),
        call(model="x" * 201),
        call(model="nul\x00"),
        call(attributes={"k": "v" * 9000}),
        call(attributes={"k": "nul\x00"}),
        {"kind": "gauge", "metric": "team_spend_usd", "labels": {"team": "a"}, "value": 1},
        {"kind": "gauge", "metric": "gateway_active_connections", "labels": {"wrong": "a"}, "value": 1},
        call(at="2026-03-02T10:00:00"),
        7,
    ]
    answer = sender.post([call(), *bad, call()]).json()
    assert answer["accepted"] == 2
    assert [(one["index"], one["field"], one["error"]) for one in answer["rejected"]] == [
        (1, "prompt_tokens", "Expected `int` >= 0"),
        (2, "kind", "Invalid value 'nonsense'"),
        (3, "kind", "Object missing required field `kind`"),
        (4, "promt_tokens", "Object contains unknown field `promt_tokens`"),
        (5, "at", "ahead of the server's clock by more than is allowed"),
        (6, "workspace", "the API key writes into workspace 'production' only"),
        (7, "model", "longer than 200 characters"),
        (8, "model", "contains a NUL character"),
        (9, "attributes", "longer than 8192 bytes"),
        (10, "attributes", "contains a NUL character"),
        (11, "metric", "not a gauge that clients may send"),
        (12, "labels", "the labels must be ['gateway_id']"),
        (13, "at", "Expected `datetime` with a timezone component"),
        (14, "", "Expected `object`, got `int`"),
    ]
    assert Receipt.objects.get().reasons == answer["rejected"]


def test_a_reason_that_names_a_nul_character_can_be_kept(sender: Sender) -> None:
    answer = sender.post([call(), {"kind": "llm_call", "a\x00b": 1}]).json()
    assert (answer["accepted"], "spooled" in answer) == (1, False)
    assert answer["rejected"] == [
        {"index": 1, "field": "a\ufffdb", "error": "Object contains unknown field `a\ufffdb`"}
    ]
    assert Receipt.objects.get().reasons == answer["rejected"]


def test_a_refused_call_is_a_failure_once_and_the_mended_one_is_welcome(sender: Sender) -> None:
    wrong = call(prompt_tokens=-1)
    for _ in range(2):
        sender.post([wrong])
    failures = "SELECT sum(t.measures[1]) FROM usage_total t JOIN usage_dimension d ON d.id = t.dimension_id WHERE "
    assert scalar(failures + "d.labels->>'usage' = 'failure'") == 1
    assert scalar(failures + "d.labels->>'error_type' = 'validation'") == 1
    assert sender.post([{**wrong, "prompt_tokens": 1}]).json()["accepted"] == 1
    assert scalar(failures + "d.labels->>'usage' = 'success'") == 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (call(), ("success", "success")),
        (call(prompt_tokens=None, completion_tokens=None), ("success", "failure")),
        (call(completion_tokens=None), ("success", "success")),
        (call(prompt_tokens=0, completion_tokens=0), ("success", "success")),
        (call(outcome="rate_limited", prompt_tokens=None, completion_tokens=None), ("rate_limited", None)),
        (call(outcome="weird"), ("other", "success")),
    ],
)
def test_coverage_tells_recorded_from_missing_usage(sender: Sender, record: Any, expected: Any) -> None:
    sender.post([record])
    labels = Dimension.objects.get(kind="llm_call").labels
    assert (labels["outcome"], labels.get("usage")) == expected


def test_closed_sets_take_no_new_label_values(sender: Sender) -> None:
    sender.post([call(outcome="error", error_type="alien"), call(outcome="timeout"), call(error_type="auth")])
    found = {
        (labels["outcome"], labels.get("error_type"))
        for labels in Dimension.objects.filter(kind="llm_call").values_list("labels", flat=True)
    }
    assert found == {("error", "unknown"), ("timeout", "timeout"), ("error", "auth")}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"   ", 400),
        (b"{", 400),
        (b"[1,", 400),
        (b"hello", 400),
        (b"\xff\xfe", 400),
        (b'"text"', 400),
        (b"[" * 100_000, 400),
        (b'{"kind":"llm_call","attributes":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, 400),
        (b"[]", 200),
    ],
)
def test_unreadable_bodies_get_a_clear_error(sender: Sender, body: bytes, status: int) -> None:
    answer = sender.post(body)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]


def test_a_gzip_bomb_is_refused_unpacked_no_further_than_the_bound(
    sender: Sender, configure: Callable[..., Config]
) -> None:
    configure(body_max_unpacked_bytes=100_000)
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    answer = sender.post(bomb, HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, answer.json()) == (413, {"error": "the body unpacks to more than 100000 bytes"})
    assert sender.post(b"no gzip", HTTP_CONTENT_ENCODING="gzip").status_code == 400
    assert sender.post(gzip.compress(b"[]")[:-4], HTTP_CONTENT_ENCODING="gzip").status_code == 400
    assert sender.post(b"[]", HTTP_CONTENT_ENCODING="br").status_code == 400


def test_bodies_and_batches_are_bounded(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(body_max_bytes=1024, batch_max_records=2)
    assert sender.post(b" " * 1025).status_code == 413
    assert sender.post([{"kind": "llm_call"}] * 3).status_code == 413
    assert sender.post([{"kind": "llm_call"}] * 2).status_code == 200


def test_a_key_is_asked_for_and_bounded(sender: Sender, workspace: Workspace, configure: Callable[..., Config]) -> None:
    anonymous = Client().post("/api/v1/usage", b"[]", content_type="application/json")
    assert (anonymous.status_code, anonymous["WWW-Authenticate"]) == (401, "Bearer")
    _, reader = keys.create_key("reader", workspace, ["query"])
    assert sender.post([], HTTP_AUTHORIZATION=f"Bearer {reader}").status_code == 403
    _, old = keys.create_key("old", workspace, ["ingest"], expires_at=timezone.now() - timedelta(seconds=1))
    assert sender.post([], HTTP_AUTHORIZATION=f"Bearer {old}").json() == {"error": "the API key has expired"}
    _, slow = keys.create_key("slow", workspace, ["ingest"], rate=1)
    answers = [sender.post([], HTTP_AUTHORIZATION=f"Bearer {slow}") for _ in range(3)]
    # The minute may turn between two of the three, never between all.
    assert answers[0].status_code == 200
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 0 < int(refused[0]["Retry-After"]) <= 60
    keys.revoke_key(sender.key, timezone.now())
    assert sender.post([]).json() == {"error": "the API key was revoked"}


def test_only_a_key_for_backfill_may_send_old_records(
    sender: Sender, workspace: Workspace, configure: Callable[..., Config]
) -> None:
    configure(retention_records_days=30, record_max_age=86_400)
    _, plain = keys.create_key("plain", workspace, ["ingest"])
    now = timezone.now()
    old, ancient = call(at=now - timedelta(days=20)), call(at=now - timedelta(days=31))
    refused = sender.post([old], HTTP_AUTHORIZATION=f"Bearer {plain}").json()["rejected"]
    assert refused == [{"index": 0, "field": "at", "error": "older than this key may send"}]
    answer = sender.post([old, ancient]).json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (1, [1])
    configure(record_max_age=40 * 86_400)  # no key may send what is too old to be kept, and so to be known again
    answer = sender.post([ancient], HTTP_AUTHORIZATION=f"Bearer {plain}").json()
    assert [one["error"] for one in answer["rejected"]] == ["older than this key may send"]


def test_label_sets_are_bounded(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(dimensions_per_kind=3)
    sender.post([call(model=f"m{number}") for number in range(5)])
    sender.post([call(model="m0"), call(model="m9", provider="new")])
    models = sorted(
        labels["model"] for labels in Dimension.objects.filter(kind="llm_call").values_list("labels", flat=True)
    )
    assert models == ["__overflow__", "m0", "m1", "m2"]
    assert measures()["count"] == 7
    assert Record.objects.exclude(overflow=None).count() == 3
    assert Record.objects.exclude(overflow=None).order_by("id").last().overflow["provider"] == "new"  # type: ignore[union-attr]


def test_a_receipt_can_be_read_by_its_workspace_only(sender: Sender, workspace: Workspace) -> None:
    receipt = sender.post([call()]).json()["receipt"]
    other = Workspace.objects.create(slug="other", name="Other")
    _, stranger = keys.create_key("stranger", other, ["ingest"])
    mine = Client().get(f"/api/v1/receipts/{receipt}", HTTP_AUTHORIZATION=f"Bearer {sender.plaintext}")
    assert (mine.status_code, mine.json()["accepted"]) == (200, 1)
    assert Client().get(f"/api/v1/receipts/{receipt}", HTTP_AUTHORIZATION=f"Bearer {stranger}").status_code == 404
    assert (
        Client().get(f"/api/v1/receipts/{uuid.uuid4()}", HTTP_AUTHORIZATION=f"Bearer {sender.plaintext}").status_code
        == 404
    )


def test_attributes_and_traces_are_kept_as_they_came(sender: Sender) -> None:
    attributes = {"quote": 'a "b" \\ c\td\ne', "n": 1.5, "none": None, "yes": True, "umlaut": "ü🙂"}
    sender.post([call(attributes=attributes, trace_id="abc123", span_id="def", cost_usd=0.25)])
    record = Record.objects.get()
    assert (record.attributes, record.trace_id, record.span_id) == (attributes, "abc123", "def")
    assert (record.cost_usd, record.price_source) == (0.25, "client")
    assert record.at == NOW


def test_key_use_is_remembered(sender: Sender) -> None:
    sender.post([])
    sender.key.refresh_from_db()
    assert sender.key.last_used_at is not None
    assert sender.key.last_used_at > datetime(2026, 1, 1, tzinfo=UTC)
    assert DeadLetter.objects.count() == 0
