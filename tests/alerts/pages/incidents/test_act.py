"""Acting from a message: signed links, which scanners may open, and Slack's buttons."""

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.test import Client
from slack_sdk.signature import SignatureVerifier

from alerts.models import Channel, Delivery, Incident
from alerts.notify.channels import create_channel
from alerts.notify.incident_message import delivery_message
from alerts.notify.links import LASTS, token_of
from alerts.notify.transports import slack_bot
from alerts.oncall.means import add_means
from core.audit.models import AuditLine
from tests.alerts.incidents.world import World, at
from tests.people import browser_of, make_people
from tests.servers import Answer, HttpServer

pytestmark = pytest.mark.django_db
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture
def world() -> World:
    world = World(None)
    world.rule.channels.clear()
    world.fire(0, "x")
    return world


@pytest.fixture
def private_targets(portal_setting: Callable[..., None]) -> None:
    """The web server of the tests is on loopback."""
    portal_setting(outbound_private=True)


def link(channel: Channel) -> str:
    return f"/act/{token_of(Incident.objects.get().pk, channel.pk)}/"


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_a_message_of_what_fires_has_a_link_and_one_of_an_end_has_none(world: World) -> None:
    firing = Delivery.objects.select_related("incident", "flip__alert__rule__runbook").get()
    message = delivery_message(firing, at(1))
    assert re.fullmatch(r"http://.*/act/\d+-\d+:\w+:[\w-]+/", message.act_url)
    world.resolve(10, "x")
    ended = Delivery.objects.select_related("incident", "flip__alert__rule__runbook").get(why="resolved")
    assert delivery_message(ended, at(11)).act_url == ""


def test_opening_the_link_changes_nothing_and_its_button_acknowledges(world: World) -> None:
    address = link(world.channels["a"])
    for _ in range(3):
        page = Client().get(address)
        assert page.status_code == 200
        assert "no-store" in page.headers["Cache-Control"]
        assert Client().head(address).status_code == 200
    incident = Incident.objects.get()
    assert incident.acknowledged_at is None
    assert not incident.events.exists()
    answer = Client().post(address, {"do": "acknowledge"}, follow=True)
    assert "Acknowledged at" in text_of(answer)
    incident.refresh_from_db()
    assert incident.acknowledged_at is not None
    assert [event.author_name for event in incident.events.all()] == ["link in a"]
    assert AuditLine.objects.filter(action="acknowledged", actor="link in a").exists()
    Client().post(address, {"do": "acknowledge"})
    assert incident.events.count() == 1


def test_the_button_needs_the_page_s_own_form(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(link(world.channels["a"]), {"do": "acknowledge"}).status_code == 403
    assert Incident.objects.get().acknowledged_at is None


def test_it_snoozes_and_who_is_logged_in_acts_as_themselves(world: World) -> None:
    people = make_people()
    browser_of(people.owner).post(link(world.channels["a"]), {"do": "snooze-4h"})
    incident = Incident.objects.get()
    assert incident.snoozed_until is not None
    assert [event.author_name for event in incident.events.all()] == ["owner"]


def test_a_link_in_a_person_s_own_channel_acts_as_that_person(world: World) -> None:
    people = make_people()
    Client().post(link(add_means(people.owner, "ntfy", {"topic": "t"})), {"do": "acknowledge"})
    assert Incident.objects.get().acknowledged_by == people.owner


def test_a_link_of_somebody_who_may_sign_in_no_more_does_nothing(world: World) -> None:
    people = make_people()
    address = link(add_means(people.owner, "ntfy", {"topic": "t"}))
    people.owner.is_active = False
    people.owner.save()
    assert Client().post(address, {"do": "acknowledge"}).status_code == 404
    assert Incident.objects.get().acknowledged_at is None


def test_a_link_that_was_changed_or_is_too_old_does_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    address = link(world.channels["a"])
    other = address.replace("/act/", "/act/1")
    assert Client().get(other).status_code == 404
    assert Client().post(other, {"do": "acknowledge"}).status_code == 404
    later = time.time() + LASTS.total_seconds() + 60
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert Client().get(address).status_code == 410
    assert Client().post(address, {"do": "acknowledge"}).status_code == 410
    assert Incident.objects.get().acknowledged_at is None


def bot(url: str = "", secret: str = SECRET) -> Channel:
    config = {"token": "xoxb-1", "channel": "#ops", "signing_secret": secret, "url": url}
    return create_channel("slack_bot", "#ops", config)


def press(channel: Channel, action: str, answer_to: str = "", *, secret: str = SECRET, age: float = 0) -> Any:
    payload = {
        "type": "block_actions",
        "user": {"id": "U1", "username": "mara"},
        "response_url": answer_to,
        "actions": [{"action_id": action, "value": token_of(Incident.objects.get().pk, channel.pk)}],
    }
    body = urlencode({"payload": json.dumps(payload)})
    stamp = str(int(time.time() - age))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body) if secret else "v0="
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature or ""}
    return Client(enforce_csrf_checks=True).post(
        "/slack/interactive", body, content_type="application/x-www-form-urlencoded", headers=headers
    )


@pytest.mark.usefixtures("private_targets")
def test_slack_s_button_acknowledges_and_the_channel_hears_who_it_was(world: World, http_server: HttpServer) -> None:
    assert press(bot(), "acknowledge", http_server.url).status_code == 200
    incident = Incident.objects.get()
    assert incident.acknowledged_at is not None
    assert [event.author_name for event in incident.events.all()] == ["mara in Slack"]
    assert json.loads(http_server.requests[0].body)["text"] == "Acknowledged by mara in Slack."
    assert AuditLine.objects.filter(action="acknowledged", actor="mara in Slack").exists()


@pytest.mark.parametrize(
    "given", [{"secret": "another"}, {"age": 400.0}, {"secret": ""}], ids=["forged", "replayed", "unsigned"]
)
def test_what_slack_did_not_sign_now_is_refused(world: World, given: dict[str, Any]) -> None:
    assert press(bot(), "acknowledge", **given).status_code == 403
    assert Incident.objects.get().acknowledged_at is None


def test_a_channel_without_a_signing_secret_takes_no_button(world: World) -> None:
    assert press(bot(secret=""), "acknowledge").status_code == 403


@pytest.mark.parametrize("body", ["", "payload=x", "payload={}", "payload=[]", 'payload={"actions": [{}]}'])
def test_what_is_no_payload_of_slack_is_refused(body: str) -> None:
    kind = "application/x-www-form-urlencoded"
    assert Client().post("/slack/interactive", body, content_type=kind).status_code == 400


@pytest.mark.usefixtures("private_targets")
def test_buttons_are_shown_where_slack_can_be_believed_and_a_link_elsewhere(
    world: World, http_server: HttpServer
) -> None:
    delivery = Delivery.objects.select_related("incident", "flip__alert__rule__runbook").get()
    message = delivery_message(delivery, at(1))
    seen = []
    for secret in (SECRET, ""):
        http_server.answers.append(Answer(body=b'{"ok": true, "ts": "1.2"}'))
        config = {"token": "xoxb-1", "channel": "#ops", "signing_secret": secret, "url": http_server.url}
        slack_bot.notify(message, slack_bot.parse_config(config))
        body = json.loads(http_server.requests[-1].body)
        actions = next(block for block in body["attachments"][0]["blocks"] if block["type"] == "actions")["elements"]
        seen.append([element["action_id"] if "value" in element else element["text"]["text"] for element in actions])
    assert seen == [
        ["acknowledge", "snooze-1h", "Alert", "Chart and rule"],
        ["Alert", "Acknowledge or snooze", "Chart and rule"],
    ]
