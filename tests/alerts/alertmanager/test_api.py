"""Alertmanager's HTTP API: what clients send is merged, ended and shown as Alertmanager does it."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.alertmanager.external import expire_alerts
from alerts.evaluation.tick import tick
from alerts.models import Alert, Flip, Incident, Silence
from core.accounts.keys import create_key
from promql import MemorySource
from tests.alerts.incidents.world import World
from tests.people import make_people

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


class Api:
    """A client with a key, of one workspace or of all."""

    def __init__(self, *scopes: str, workspace: Any = None) -> None:
        self.client = Client()
        key = create_key("k", workspace, scopes)[1]
        self.headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/api/v2/{path}", query, headers=self.headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def send(self, path: str, body: Any, method: str = "post") -> Any:
        send = getattr(self.client, method)
        return send(f"/api/v2/{path}", json.dumps(body), content_type="application/json", headers=self.headers)


@pytest.fixture
def api() -> Api:
    return Api("query", "admin")


def posted(name: str, **fields: Any) -> dict[str, Any]:
    return {"labels": {"alertname": "Posted", "name": name}, "annotations": {"summary": f"{name} is bad"}, **fields}


def iso(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def test_posted_alerts_fire_are_shown_and_notified_like_our_own(api: Api) -> None:
    World({"receiver": "a", "group_by": ["alertname"], "group_wait": "0s"})
    assert api.send("alerts", [posted("x"), posted("y")]).status_code == 200
    shown = api.get("alerts")
    assert sorted(alert["labels"]["name"] for alert in shown) == ["x", "y"]
    assert shown[0]["receivers"] == [{"name": "a"}]
    assert shown[0]["status"] == {"inhibitedBy": [], "silencedBy": [], "state": "active"}
    (group,) = api.get("alerts/groups")
    assert (group["labels"], group["receiver"], len(group["alerts"])) == ({"alertname": "Posted"}, {"name": "a"}, 2)
    assert len(Incident.objects.get().deliveries.get().firing) == 2
    assert api.get("receivers") == [{"name": "a"}]
    assert "receiver: a" in api.get("status")["config"]["original"]


def test_a_second_post_of_the_labels_goes_on_and_one_with_a_past_end_resolves(api: Api) -> None:
    now = timezone.now()
    api.send("alerts", [posted("x", startsAt=iso(now - HOUR), endsAt=iso(now + HOUR))])
    api.send("alerts", [posted("x", startsAt=iso(now), endsAt=iso(now + 2 * HOUR), annotations={"summary": "worse"})])
    alert = Alert.objects.get()
    assert (alert.fired_at, alert.expires_at, alert.annotations) == (now - HOUR, now + 2 * HOUR, {"summary": "worse"})
    api.send("alerts", [posted("x", startsAt=iso(now - HOUR), endsAt=iso(now))])
    assert api.get("alerts") == []
    assert list(Flip.objects.values_list("to_state", "at")) == [("firing", now - HOUR), ("resolved", now)]


def test_an_alert_without_an_end_resolves_when_it_was_not_sent_for_resolve_timeout(api: Api) -> None:
    before = timezone.now()
    api.send("alerts", [posted("x"), posted("y")])
    assert expire_alerts(before + dt.timedelta(minutes=4)) == 0
    api.send("alerts", [posted("y", endsAt=iso(before + HOUR))])
    assert expire_alerts(timezone.now() + dt.timedelta(minutes=5)) == 1
    assert [alert["labels"]["name"] for alert in api.get("alerts")] == ["y"]


def test_ticks_leave_posted_alerts_alone(api: Api) -> None:
    api.send("alerts", [posted("x")])
    tick(timezone.now() + HOUR, MemorySource())
    assert Alert.objects.get().state == "firing"


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ({"labels": {}}, "at least one label pair required"),
        ({"labels": {"a": ""}}, "at least one label pair required"),
        ({"labels": {"a": 1}}, "invalid labels"),
        ({"labels": {"a": "b"}, "startsAt": "yesterday"}, "startsAt is not a time"),
        ({"labels": {"a": "b"}, "startsAt": "2026-03-02T10:00:00"}, "startsAt has no time zone"),
        (
            {"labels": {"a": "b"}, "startsAt": "2026-03-02T10:00:00Z", "endsAt": "2026-03-02T09:00:00Z"},
            "start time must be before",
        ),
        ("x", "an alert must be an object"),
    ],
)
def test_a_bad_alert_is_refused_with_its_reason_and_the_good_ones_are_taken(alert: Any, said: str, api: Api) -> None:
    answer = api.send("alerts", [alert, posted("good")])
    assert (answer.status_code, said in answer.json()) == (400, True)
    assert [found["labels"]["name"] for found in api.get("alerts")] == ["good"]


@pytest.mark.parametrize("body", [b"{", b"{}", b"null", b"[" * 100_000])
def test_what_is_no_list_is_refused(body: bytes, api: Api) -> None:
    answer = api.client.post("/api/v2/alerts", body, content_type="application/json", headers=api.headers)
    assert answer.status_code == 400


def test_silences_are_made_changed_listed_and_ended(api: Api) -> None:
    api.send("alerts", [posted("x"), posted("y")])
    now = timezone.now()
    matcher = {"name": "name", "value": "x", "isRegex": False, "isEqual": True}
    body = {"matchers": [matcher], "startsAt": iso(now), "endsAt": iso(now + HOUR), "createdBy": "ada", "comment": "c"}
    silence_id = api.send("silences", body).json()["silenceID"]
    states = {alert["labels"]["name"]: alert["status"] for alert in api.get("alerts")}
    assert states["x"] == {"inhibitedBy": [], "silencedBy": [silence_id], "state": "suppressed"}
    assert states["y"]["state"] == "active"
    assert [alert["labels"]["name"] for alert in api.get("alerts", silenced="false")] == ["y"]
    assert [alert["labels"]["name"] for alert in api.get("alerts", filter='name=~"x|z"')] == ["x"]
    (listed,) = api.get("silences")
    assert (listed["matchers"], listed["status"], listed["createdBy"]) == ([matcher], {"state": "active"}, "ada")
    assert api.get(f"silence/{silence_id}") == listed
    assert api.get("silences", filter="name=y") == []
    assert api.send(f"silence/{silence_id}", None, "delete").status_code == 200
    assert api.get(f"silence/{silence_id}")["status"] == {"state": "expired"}
    assert api.send("silences", {**body, "id": "00000000-0000-4000-8000-000000000000"}).status_code == 400


def test_a_key_of_a_workspace_sends_sees_and_silences_its_own_only() -> None:
    people = make_people()
    own, other, all_of_them = (
        Api("query", "ingest", "admin", workspace=people.production),
        Api("query", "ingest", "admin", workspace=people.elsewhere),
        Api("query", "admin"),
    )
    own.send("alerts", [posted("x")])
    all_of_them.send("alerts", [posted("portal")])
    assert [alert["labels"]["workspace"] for alert in own.get("alerts")] == ["production"]
    assert other.get("alerts") == []
    assert len(all_of_them.get("alerts")) == 2
    now = timezone.now()
    body = {"startsAt": iso(now), "endsAt": iso(now + HOUR), "createdBy": "a", "comment": ""}
    everything = {**body, "matchers": [{"name": "alertname", "value": "Posted", "isRegex": False}]}
    assert own.send("silences", everything).status_code == 403
    named = {**body, "matchers": [{"name": "workspace", "value": "production", "isRegex": False}]}
    silence_id = own.send("silences", named).json()["silenceID"]
    assert other.get("silences") == []
    assert other.send(f"silence/{silence_id}", None, "delete").status_code == 404
    assert Silence.objects.count() == 1


def test_keys_need_the_scope_and_nobody_else_comes_in() -> None:
    make_people()
    reader = Api("query")
    assert reader.send("alerts", [posted("x")]).status_code == 403
    assert reader.send("silences", {}).status_code == 403
    assert Client().get("/api/v2/alerts").status_code == 401
    assert Client().get("/api/v2/status").json() == "send the API key as `Authorization: Bearer <key>`"
    assert reader.client.put("/api/v2/alerts", headers=reader.headers).status_code == 405
