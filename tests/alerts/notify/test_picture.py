"""Charts in messages: made of the rule's own query, shown where a channel can, and never the reason that a message is
late or lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage

import pytest
from django.utils import timezone

from alerts.models import Alert, Delivery, Rule
from alerts.notify.channels import create_channel
from alerts.notify.message import flip_message
from alerts.notify.picture import with_picture
from alerts.notify.transports import TRANSPORTS, email
from alerts.notify.transports.contract import Message
from tests.alerts.notify.test_services import GIVEN
from tests.alerts.notify.test_transports import FIRING
from tests.alerts.pages.samples import deliver, fire
from tests.servers import Answer, HttpServer

PNG = b"\x89PNG\r\n\x1a\n"
SHOWN = replace(FIRING, picture=PNG + b"chart")


def send(kind: str, server: HttpServer, message: Message = SHOWN) -> str:
    transport = TRANSPORTS[kind]
    return transport.notify(message, transport.parse_config({**GIVEN[kind], "url": server.url}))


@pytest.fixture
def loopback(portal_setting: Callable[..., None], http_server: HttpServer) -> HttpServer:
    portal_setting(outbound_private=True)
    http_server.default = Answer(body=b'{"ok": true, "ts": "1.2", "channel": "C9"}')
    return http_server


def test_mail_shows_it_in_its_text() -> None:
    mail = email.build(SHOWN, ["ops@example.org"], "portal@example.org")
    assert mail.get_content_type() == "multipart/alternative"
    related = [part for part in mail.iter_parts() if part.get_content_type() == "multipart/related"]
    html, picture = related[0].iter_parts()
    assert isinstance(picture, EmailMessage)
    assert (picture.get_content_type(), picture.get_content()) == ("image/png", SHOWN.picture)
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html.get_content()
    plain = email.build(FIRING, ["ops@example.org"], "portal@example.org")
    assert "cid:" not in plain.as_string()


def test_discord_has_it_in_its_embed(loopback: HttpServer) -> None:
    send("discord", loopback)
    request = loopback.requests[-1]
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert PNG in request.body
    assert b'{"url": "attachment://chart.png"}' in request.body


def test_telegram_gets_the_message_then_the_picture(loopback: HttpServer) -> None:
    assert send("telegram", loopback).startswith("HTTP 200")
    assert [one.path.rsplit("/", 1)[1] for one in loopback.requests] == ["sendMessage", "sendPhoto"]
    assert PNG in loopback.requests[-1].body


def test_slack_s_bot_puts_it_into_the_thread(loopback: HttpServer) -> None:
    place = {"ok": True, "upload_url": f"{loopback.url}/upload", "file_id": "F1"}
    loopback.answers += [Answer(body=loopback.default.body), Answer(body=json.dumps(place).encode())]
    send("slack_bot", loopback)
    paths = [one.path.rsplit("/", 1)[1] for one in loopback.requests]
    assert paths == ["chat.postMessage", "files.getUploadURLExternal", "upload", "files.completeUploadExternal"]
    assert loopback.requests[2].body == SHOWN.picture
    done = json.loads(loopback.requests[3].body)
    assert (done["channel_id"], done["thread_ts"], done["files"][0]["id"]) == ("C9", "1.2", "F1")


@pytest.mark.parametrize("kind", ["telegram", "slack_bot"])
def test_a_message_that_arrived_is_not_sent_again_for_its_picture(kind: str, loopback: HttpServer) -> None:
    loopback.answers += [Answer(body=loopback.default.body), Answer(status=500)]
    assert send(kind, loopback).startswith("HTTP 200")


def firing(rule: Rule, kind: str = "webhook") -> tuple[Message, Delivery]:
    alert = fire(rule, model="gpt-5", workspace="production")
    channel = create_channel(kind, "hook", {"url": "https://hooks.example.org/x"})
    delivery = deliver(alert, channel, "pending")
    return flip_message(delivery.flip, timezone.now()), delivery


@pytest.mark.django_db
def test_it_is_made_of_the_rule_s_query_where_the_channel_can_show_it(default_rules: None) -> None:
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    Rule.objects.filter(pk=rule.pk).update(expr='label_replace(vector(7), "model", "gpt-5", "", "") > $threshold')
    message, delivery = firing(Rule.objects.get(pk=rule.pk))
    assert with_picture(message, delivery, "email", timezone.now()).picture.startswith(PNG)
    assert with_picture(message, delivery, "webhook", timezone.now()).picture == b""
    resolved = replace(message, state="resolved")
    assert with_picture(resolved, delivery, "email", timezone.now()).picture == b""


@pytest.mark.django_db
@pytest.mark.parametrize("expr", ["sum(rate(llm_tokens_total[5m])) > $threshold", "sum(", "1e6 * up{a='b'} > 1"])
def test_a_rule_that_draws_nothing_sends_its_message_without(default_rules: None, expr: str) -> None:
    rule = Rule.objects.get(name="LLMUsageIngestionFailuresCritical")
    Rule.objects.filter(pk=rule.pk).update(expr=expr)
    message, delivery = firing(Rule.objects.get(pk=rule.pk))
    Alert.objects.filter(pk=delivery.alert_id).update(threshold=None)
    assert with_picture(message, delivery, "email", timezone.now()) == message
