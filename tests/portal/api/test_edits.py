"""What edits by the API promise: the pages' checks and history, editions, repeated requests, problems that name the
field."""

from typing import Any

import pytest

from alerts.models import Alert, Channel, Rule, RuleChange, Runbook
from core.accounts.models import ApiKey
from core.api.models import AnsweredRequest
from tests.people import People
from tests.portal.api.world import World, client_of, client_with, key_of

RULE = {"name": "Slow", "group": "api", "expr": "up > $threshold", "threshold": 2.5, "labels": {"team": "a"}}


@pytest.fixture
def owner(people: People, world: World) -> Any:
    """The owner's session."""
    return client_of(people.owner)


def test_a_rule_is_made_and_changed_with_its_history(owner: Any, people: People) -> None:
    made = owner.post("/api/v1/alerting-rules", {**RULE, "channels": ["hook"], "runbook": "busy"})
    assert made.status_code == 201, made.json()
    changed = owner.patch(f"/api/v1/alerting-rules/{made.json()['id']}", {"threshold": 3})
    assert (changed.json()["threshold"], changed.json()["version"]) == (3.0, 2)
    changes = owner.get(f"/api/v1/alerting-rules/{made.json()['id']}/changes").json()["results"]
    assert [(one["version"], one["author_name"]) for one in changes] == [(2, "owner"), (1, "owner")]
    assert changes[0]["fields_changed"] == {"threshold": [2.5, 3.0]}
    undone = owner.post(f"/api/v1/alerting-rules/{made.json()['id']}/undo", {"version": 2})
    assert (undone.json()["threshold"], undone.json()["version"]) == (2.5, 3)


def test_what_a_key_changes_is_kept_under_its_name(people: People, world: World) -> None:
    key = key_of(people.production, "admin")
    answer = client_with(key).post(f"/api/v1/alerting-rules/{world.places['alerting-rules']}/disable")
    assert answer.json()["enabled"] is False
    assert RuleChange.objects.get(version=2).author_name == "API key admin"


def test_a_problem_names_each_field(owner: Any) -> None:
    answer = owner.post("/api/v1/alerting-rules", {**RULE, "threshold": None, "for_seconds": -1, "channels": ["none"]})
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")
    assert {one["field"] for one in answer.json()["errors"]} == {"for_seconds", "channels"}
    refused = owner.post("/api/v1/alerting-rules", {**RULE, "threshold": None})
    assert refused.json()["errors"] == [
        {"field": "threshold", "detail": "the expression has $threshold, so a threshold is needed"}
    ]


EDITS = {
    "alerting-rules": ({"threshold": 7}, {"threshold": 8}),
    "rule-groups": ({"interval_seconds": 30}, {"interval_seconds": 45}),
    "channels": ({"name": "hook", "enabled": False}, {"send_resolved": False}),
    "message-templates": ({"title": "One"}, {"title": "Two"}),
    "runbooks": ({"text": "Do."}, {"text": "Do not."}),
    "prices": ({"input_usd": 3}, {"input_usd": 4}),
    "budgets": ({"limit_usd": 20}, {"limit_usd": 30}),
    "label-rules": ({"kind": "tool_call", "label": "tool_name", "keep": 3}, {"action": "characters"}),
    "marks": ({"title": "checkout 2.14.1"}, {"title": "checkout 2.14.2"}),
    "saved-views": ({"query": "q=slow"}, {"query": "q=fast"}),
}


# Shared by every workspace.
OF_ALL = ("rule-groups", "prices")


@pytest.mark.parametrize("resource", EDITS)
def test_of_two_who_edit_the_second_is_told(resource: str, owner: Any, people: People, world: World) -> None:
    owner = client_of(people.admin) if resource in OF_ALL else owner
    address = f"/api/v1/{resource}/{world.places[resource]}"
    first, second = EDITS[resource]
    read = owner.get(address)
    assert owner.patch(address, first, headers={"If-Match": read["ETag"]}).status_code == 200
    late = owner.patch(address, second, headers={"If-Match": read["ETag"]})
    assert (late.status_code, late.json()["title"]) == (412, "Precondition Failed")
    assert owner.delete(address, headers={"If-Match": read["ETag"]}).status_code == 412
    now = owner.get(address)
    assert all(now.json().get(name, value) == value for name, value in first.items())
    assert owner.patch(address, second, headers={"If-Match": now["ETag"]}).status_code == 200


@pytest.mark.parametrize("resource", [name for name in EDITS if name != "rule-groups"])
def test_what_is_deleted_is_gone(resource: str, owner: Any, people: People, world: World) -> None:
    owner = client_of(people.admin) if resource in OF_ALL else owner
    address = f"/api/v1/{resource}/{world.places[resource]}"
    assert owner.delete(address).status_code == 204
    assert owner.get(address).status_code == 404


def test_a_group_with_rules_stays(people: People, world: World) -> None:
    answer = client_of(people.admin).delete(f"/api/v1/rule-groups/{world.places['rule-groups']}")
    assert answer.json()["errors"] == [{"field": "name", "detail": "has 1 rules: delete them first"}]


def test_a_repeated_post_makes_nothing_and_is_answered_as_before(owner: Any) -> None:
    first, again = (owner.post("/api/v1/alerting-rules", RULE, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert again.json() == first.json()
    assert Rule.objects.filter(name="Slow").count() == 1
    other = owner.post("/api/v1/alerting-rules", {**RULE, "name": "Other"}, headers={"Idempotency-Key": "a"})
    assert other.status_code == 409


def test_what_was_refused_may_be_mended_under_the_same_key(owner: Any) -> None:
    header = {"Idempotency-Key": "b"}
    assert owner.post("/api/v1/alerting-rules", {**RULE, "expr": "up >"}, headers=header).status_code == 400
    assert owner.post("/api/v1/alerting-rules", RULE, headers=header).status_code == 201


def test_the_secret_of_a_key_is_answered_once_and_not_kept(owner: Any) -> None:
    asked = {"name": "app", "workspace": "production", "scopes": ["ingest"]}
    first, again = (owner.post("/api/v1/keys", asked, headers={"Idempotency-Key": "c"}) for _ in range(2))
    assert first.json()["key"].startswith("llmu_")
    assert again.json() == {**first.json(), "key": None}
    assert "llmu_" not in str(AnsweredRequest.objects.get().body["key"])
    assert owner.get(f"/api/v1/keys/{first.json()['id']}").json()["key"] is None
    revoked = owner.post(f"/api/v1/keys/{first.json()['id']}/revoke")
    assert revoked.json()["state"] == "revoked"


def test_a_key_of_all_workspaces_is_made_by_administrators_only_and_sends_nothing(people: People, world: World) -> None:
    asked = {"name": "grafana", "workspace": None, "scopes": ["query"]}
    assert client_of(people.owner).post("/api/v1/keys", asked).json()["errors"][0]["field"] == "workspace"
    admin = client_of(people.admin)
    made = admin.post("/api/v1/keys", asked)
    assert made.status_code == 201
    assert len(client_with(made.json()["key"]).get("/api/v1/workspaces").json()["results"]) == 2
    sends = admin.post("/api/v1/keys", {**asked, "scopes": ["ingest"]})
    assert sends.json()["errors"][0]["field"] == "scopes"
    assert ApiKey.objects.filter(name="grafana").count() == 1


def test_a_secret_of_a_channel_goes_in_and_never_comes_out(owner: Any) -> None:
    asked = {"name": "second", "kind": "webhook", "config": {"url": "https://hooks.example.org/secret-path"}}
    made = owner.post("/api/v1/channels", asked)
    assert made.status_code == 201, made.json()
    assert "config" not in made.json()
    assert "secret-path" not in made.content.decode()
    kept = bytes(Channel.objects.get(name="second").config_encrypted)
    owner.patch(f"/api/v1/channels/{made.json()['id']}", {"enabled": False})
    assert bytes(Channel.objects.get(name="second").config_encrypted) == kept
    wrong = owner.post("/api/v1/channels", {"name": "third", "kind": "webhook", "config": {"url": "no address"}})
    assert [one["field"] for one in wrong.json()["errors"]] == ["url"]


def test_an_alert_is_acknowledged_once(owner: Any, world: World) -> None:
    address = f"/api/v1/alert-episodes/{world.places['alert-episodes']}"
    assert owner.get(address).json()["value"] == "+Inf"
    assert owner.post(f"{address}/acknowledge").json()["acknowledged_by"] == "owner"
    assert owner.post(f"{address}/acknowledge").status_code == 409
    assert owner.post(f"{address}/give-back").json()["acknowledged_by"] is None
    assert Alert.objects.get().acknowledged_at is None


def test_a_text_of_a_runbook_is_restored_as_a_new_version(owner: Any) -> None:
    owner.patch("/api/v1/runbooks/busy", {"text": "Second.", "title": "Very busy"})
    restored = owner.post("/api/v1/runbooks/busy/restore", {"number": 1}).json()
    assert (restored["text"], restored["version"], restored["title"]) == ("Wait.", 3, "Very busy")
    versions = owner.get("/api/v1/runbooks/busy/versions").json()["results"]
    assert [one["number"] for one in versions] == [3, 2, 1]
    assert Runbook.objects.count() == Runbook.objects.filter(versions__number=1).count()


def test_a_session_needs_its_csrf_token(people: People, world: World) -> None:
    client = client_of(people.owner)
    client.handler.enforce_csrf_checks = True
    answer = client.post("/api/v1/alerting-rules", RULE)
    assert (answer.status_code, "CSRF" in answer.json()["detail"]) == (403, True)


def test_requests_are_counted_against_the_rate_of_the_key(people: People, world: World) -> None:
    key = key_of(people.production, "query")
    ApiKey.objects.filter(name="query").update(rate=2)
    client = client_with(key)
    answers = [client.get("/api/v1/prices") for _ in range(5)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 0 < int(refused[-1]["Retry-After"]) <= 60
