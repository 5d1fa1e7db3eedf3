"""Pages of channels: secrets, test messages, deliveries."""

from collections.abc import Callable

import pytest

from alerts.models import Channel, Delivery, Rule
from alerts.notify import channels
from tests.alerts.pages.samples import deliver, fire, text_of
from tests.people import People, browser_of
from tests.servers import Answer, HttpServer

pytestmark = pytest.mark.django_db

SLACK = "https://hooks.slack.com/services/T000/B000/very-secret"


def test_a_channels_secret_is_never_shown_again_and_kept_when_left_empty(people: People) -> None:
    owner = browser_of(people.owner)
    owner.post("/channels/new/slack/", {"name": "#oncall", "config_url": SLACK, "send_resolved": "on", "enabled": "on"})
    channel = Channel.objects.get()
    stored = bytes(channel.config_encrypted)
    for page in ("/channels/", f"/channels/{channel.pk}/", f"/channels/{channel.pk}/edit/"):
        assert "very-secret" not in text_of(owner.get(page))
    owner.post(f"/channels/{channel.pk}/edit/", {"name": "#night", "config_url": "", "severities": ["critical"]})
    channel.refresh_from_db()
    assert (channel.name, channel.severities, channel.enabled) == ("#night", ["critical"], False)
    assert bytes(channel.config_encrypted) == stored


def test_a_wrong_address_is_said_under_its_field_and_nothing_is_stored(people: People) -> None:
    answer = browser_of(people.owner).post("/channels/new/email/", {"name": "ops", "config_to": "nobody"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["config_to"] == ["'nobody' is not an email address"]
    assert not Channel.objects.exists()


def test_a_test_message_says_in_place_what_came_of_it(
    people: People, http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = channels.create_channel("webhook", "hook", {"url": f"{http_server.url}/hook"})
    owner, url = browser_of(people.owner), f"/channels/{channel.pk}/test"
    assert "Delivered in" in text_of(owner.post(url, headers={"HX-Request": "true"}))
    http_server.default = Answer(status=500)
    assert "Not sent" in text_of(owner.post(url, headers={"HX-Request": "true"}))
    assert "did not arrive" in text_of(owner.post(url, follow=True))


def test_only_a_failed_delivery_is_sent_again(people: People, rule: Rule) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    failed = deliver(fire(rule, model="a"), channel, "failed")
    sent = deliver(fire(rule, model="b"), channel, "sent")
    owner = browser_of(people.owner)
    for delivery in (failed, sent):
        owner.post(f"/deliveries/{delivery.pk}/retry")
        delivery.refresh_from_db()
    assert (failed.state, sent.state) == ("pending", "sent")


def test_removing_a_channel_says_what_it_takes_away(people: People, rule: Rule) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    deliver(fire(rule, model="a"), channel, "pending")
    owner = browser_of(people.owner)
    assert "1 message still to be sent" in text_of(owner.get(f"/channels/{channel.pk}/delete/"))
    owner.post(f"/channels/{channel.pk}/delete/")
    assert not Channel.objects.exists()
    assert Delivery.objects.get().state == "skipped"
