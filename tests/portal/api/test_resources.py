"""What the resources that are read answer: their filters, their pages, and what is done with dead letters."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from alerts.models import Alert, Flip
from tests.people import People
from tests.portal.api.world import AT, World, client_of
from tests.records import Sender, call
from tests.usage.pages.test_ingestion import bury, caller_of
from usage.models import DeadLetter


def results(client: Any, path: str) -> list[dict[str, Any]]:
    """One page of a list."""
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def walked(client: Any, path: str) -> list[dict[str, Any]]:
    """All pages of a list by their cursors; each but the last is as long as was asked for."""
    found, address = [], f"/api/v1/{path}"
    while address:
        page = client.get(address).json()
        found += page["results"]
        assert len(page["results"]) == 2 or page["next"] is None
        address = page["next"]
    return found


def test_flips_by_alert_rule_state_and_time_page_by_page(people: People, world: World) -> None:
    client, alert = client_of(people.owner), Alert.objects.get(pk=world.places["alert-episodes"])
    for minutes in (1, 2, 3, 4):
        state = "resolved" if minutes == 4 else "firing"
        at = AT + timedelta(minutes=minutes)
        Flip.objects.create(alert=alert, from_state="pending", to_state=state, at=at, value=minutes, created_at=at)
    every = [flip["id"] for flip in results(client, "flips")]
    assert every == sorted(every, reverse=True)
    assert [flip["id"] for flip in walked(client, "flips?page_size=2")] == every
    for query, count in (
        ("to_state=resolved", 1),
        (f"alert={alert.pk}", 5),
        (f"alert={alert.pk + 1}", 0),
        ("rule=Busy", 5),
        ("rule=Idle", 0),
        ("at_after=2026-03-02T10:02:00Z", 3),
        ("at_after=2026-03-02T10:01:00Z&at_before=2026-03-02T10:03:00Z", 2),
    ):
        assert len(results(client, f"flips?{query}")) == count, query
    assert client.get("/api/v1/flips?to_state=odd").status_code == 400
    newest = client.get(f"/api/v1/flips/{every[0]}").json()
    assert (newest["rule"], newest["to_state"], newest["value"]) == ("Busy", "resolved", 4.0)


def test_receipts_and_records_by_their_filters_page_by_page(sender: Sender, people: People) -> None:
    now, client = timezone.now(), client_of(people.owner)
    models = ["a", "b", "a", "b", "a"]
    sent = [
        call(at=now - timedelta(seconds=number), model=model, cost_usd=number) for number, model in enumerate(models)
    ]
    first = sender.post(sent).json()
    sender.post([call(at=now - timedelta(days=2), trace_id="5f2d" * 8), call(at=now, provider=7)])
    assert [one["rejected"] for one in results(client, "receipts")] == [1, 0]
    (refused,) = results(client, "receipts?refused=true")
    assert (refused["accepted"], [one["field"] for one in refused["reasons"]]) == (1, ["provider"])
    (whole,) = results(client, "receipts?refused=false&state=stored")
    assert (whole["receipt"], whole["accepted"], whole["key"], whole["workspace"]) == (
        first["receipt"],
        5,
        "app",
        "production",
    )
    assert results(client, f"receipts?before={now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}") == []
    ids = [record["event_id"] for record in sent]
    assert [one["event_id"] for one in walked(client, "records?page_size=2")] == ids, "the last day, the newest first"
    since = f"after={now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    for query, count in (
        ("model=a", 3),
        ("model=a&min_cost_usd=3", 1),
        ("kind=tool_call", 0),
        (f"receipt={first['receipt']}", 5),
        (f"event_id={ids[1]}", 1),
        ("min_duration_seconds=9", 0),
        (since, 6),
        (f"{since}&trace_id={'5f2d' * 8}", 1),
    ):
        assert len(results(client, f"records?{query}")) == count, query
    assert results(client, "records?model=b")[0]["labels"]["model"] == "b"
    assert client.get("/api/v1/records?cursor=odd").status_code == 404
    assert client.get("/api/v1/records?min_cost_usd=much").status_code == 400
    assert results(client_of(people.outsider), "records") == results(client_of(people.outsider), "receipts") == []


def test_a_dead_letter_is_replayed_once_or_discarded(sender: Sender, people: People) -> None:
    client, caller = client_of(people.owner), caller_of(people.production, "buried")
    letters = [bury(caller, call(at=timezone.now())) for _ in range(3)]
    broken = DeadLetter.objects.create(
        receipt="5f0c1b1e-0000-4000-8000-000000000001",
        workspace=people.production,
        received_at=AT,
        records=1,
        body=b"?",
        error="it was odd",
    )
    listed = results(client, "dead-letters")
    assert {one["id"] for one in listed} == {broken.pk, *(letter.pk for letter in letters)}
    replayed = client.post(f"/api/v1/dead-letters/{letters[0].pk}/replay")
    assert (replayed.status_code, replayed.json()) == (200, {"accepted": 1, "duplicates": 0})
    assert len(results(client, "records")) == 1
    assert client.post(f"/api/v1/dead-letters/{letters[1].pk}/discard").status_code == 204
    for gone in letters[:2]:
        assert client.get(f"/api/v1/dead-letters/{gone.pk}").status_code == 404
        assert client.post(f"/api/v1/dead-letters/{gone.pk}/replay").status_code == 404
    assert len(results(client, "records")) == 1
    still = client.post(f"/api/v1/dead-letters/{broken.pk}/replay")
    assert (still.status_code, "still cannot be stored" in still.json()["detail"]) == (409, True)
    for verb in ("replay", "discard"):
        assert client_of(people.teammate).post(f"/api/v1/dead-letters/{letters[2].pk}/{verb}").status_code == 403
    assert {one["id"] for one in results(client, "dead-letters")} == {broken.pk, letters[2].pk}


def test_coverage_its_gaps_panels_and_a_backtest_are_of_what_was_sent(sender: Sender, people: People) -> None:
    now, client = timezone.now(), client_of(people.owner)
    ago = [now - timedelta(minutes=10)] * 12
    unsaid = {"prompt_tokens": None, "completion_tokens": None}
    sender.post([*(call(at=at) for at in ago), *(call(at=at, model="mute", **unsaid) for at in ago)])
    found = client.get("/api/v1/coverage?range=1h").json()
    assert {one["model"]: (one["calls"], one["coverage"], one["not_recorded"]) for one in found["models"]} == {
        "mute": (12.0, 0.0, 12.0),
        "gpt-4o": (12.0, 100.0, 0.0),
    }
    assert found["target"] == 95
    assert [(gap["model"], gap["is_open"], gap["lowest"]) for gap in found["gaps"]] == [("mute", True, 0.0)]
    assert sum(gap["missing"] for gap in found["gaps"]) == 12
    assert client_of(people.outsider).get("/api/v1/coverage?range=1h").json()["models"] == []
    assert client.get("/api/v1/coverage?from=odd").status_code == 400

    boards = {board["id"]: [panel["id"] for panel in board["panels"]] for board in client.get("/api/v1/boards").json()}
    assert "coverage" in boards["overview"]
    data = client.get("/api/v1/boards/overview/panels/coverage?range=1h").json()
    assert {one["labels"]["model"]: {*one["values"]} - {"NaN"} for one in data["series"]} == {
        "mute": {0.0},
        "gpt-4o": {100.0},
    }
    assert all(len(one["values"]) == len(data["times"]) for one in data["series"])
    outside = client_of(people.outsider).get("/api/v1/boards/overview/panels/coverage?range=1h").json()
    assert outside["series"] == []
    assert client.get("/api/v1/boards/overview/panels/none").status_code == 404

    asked = {"expr": "sum by (model) (increase(llm_provider_request_seconds_count[5m])) > $threshold", "threshold": 1}
    asked, path = {**asked, "span": "1h"}, "/api/v1/alerting-rules/backtest"
    fired = client.post(path, asked).json()
    assert {one["labels"]["model"] for one in fired["episodes"]} == {"mute", "gpt-4o"}
    assert fired["count"] == 2
    assert client.post(path, {**asked, "threshold": 1000}).json()["count"] == 0
    assert client_of(people.outsider).post(path, asked).json()["count"] == 0
    wrong = client.post(path, {**asked, "expr": "sum($threshold"})
    assert [one["field"] for one in wrong.json()["errors"]] == ["expr"]


def test_the_settings_are_read_without_any_secret(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [one.name for one in dataclasses.fields(settings.PORTAL) if one.metadata["secret"]]
    given = dataclasses.replace(settings.PORTAL, **dict.fromkeys(secrets, "s3cr3t-text"))
    monkeypatch.setattr(settings, "PORTAL", given)
    answer = client_of(people.admin).get("/api/v1/settings")
    rows = {row["name"]: row for row in answer.json()}
    assert len(rows) == len(dataclasses.fields(given))
    assert "s3cr3t-text" not in answer.content.decode()
    assert [row["value"] for row in rows.values()].count("set") >= len(secrets) > 0
    assert client_of(people.teammate).get("/api/v1/settings").status_code == 403
