"""The transports of the other services: what they send, to a real server on loopback, and what they make of its
answers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import ConfigInvalid, DeliveryError, Message
from tests.alerts.notify.test_transports import FIRING, RESOLVED, TEST
from tests.servers import Answer, HttpServer

GIVEN: dict[str, dict[str, str]] = {
    "slack_bot": {"token": "xoxb-hidden", "channel": "C1"},
    "pagerduty": {"routing_key": "hidden"},
    "opsgenie": {"api_key": "hidden"},
    "teams": {},
    "discord": {},
    "telegram": {"token": "123:hidden", "chat_id": "-100"},
    "google_chat": {},
    "ntfy": {"topic": "hidden", "token": "tk_hidden"},
    "alertmanager": {},
}
KINDS = sorted(GIVEN)


@pytest.fixture(autouse=True)
def loopback(portal_setting: Callable[..., None], http_server: HttpServer) -> None:
    portal_setting(outbound_private=True, base_url="https://portal.example")
    http_server.default = Answer(body=b'{"ok": true, "ts": "1700000000.000100"}')


def send(kind: str, message: Message, server: HttpServer) -> tuple[str, dict[str, str], Any]:
    """The path, the headers and the body that came."""
    transport = TRANSPORTS[kind]
    reply = transport.notify(message, transport.parse_config({**GIVEN[kind], "url": server.url}))
    assert reply.startswith("HTTP 200")
    request = server.requests[-1]
    return request.path, request.headers, json.loads(request.body)


@pytest.mark.parametrize("kind", KINDS)
def test_firing_resolved_and_test_messages_are_sent_with_their_links(kind: str, http_server: HttpServer) -> None:
    for message in (FIRING, RESOLVED, TEST):
        _, _, body = send(kind, message, http_server)
        text = json.dumps(body, ensure_ascii=False)
        if kind not in ("pagerduty", "opsgenie") or message.state != "resolved":
            # An Alertmanager makes its own texts of labels and annotations.
            assert (message.alertname if kind == "alertmanager" else message.title) in text
            assert "https://portal.example/" in text
    assert len(http_server.requests) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_in_no_target_and_in_no_error(kind: str, http_server: HttpServer) -> None:
    transport = TRANSPORTS[kind]
    config = transport.parse_config({**GIVEN[kind], "url": f"{http_server.url}/hidden"})
    assert "hidden" not in transport.target(config)
    http_server.default = Answer(500, b"trouble")
    with pytest.raises(DeliveryError) as caught:
        transport.notify(FIRING, config)
    assert (caught.value.retry, "hidden" in str(caught.value)) == (True, False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "retry"),
    [
        (Answer(404, b"no such thing"), False),
        (Answer(429, b"slow down", {"Retry-After": "7"}), True),
        (Answer(302, b"", {"Location": "http://10.0.0.1/"}), False),
    ],
    ids=["refused", "too many", "redirect"],
)
def test_only_what_can_pass_is_tried_again(kind: str, answer: Answer, retry: bool, http_server: HttpServer) -> None:
    transport = TRANSPORTS[kind]
    http_server.default = answer
    with pytest.raises(DeliveryError) as caught:
        transport.notify(FIRING, transport.parse_config({**GIVEN[kind], "url": http_server.url}))
    assert (caught.value.retry, caught.value.after) == (retry, 7 if answer.status == 429 else None)
    assert len(http_server.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_is_refused_by_field(kind: str) -> None:
    transport = TRANSPORTS[kind]
    with pytest.raises(ConfigInvalid) as caught:
        transport.parse_config({"url": "ftp://x.example/"})
    assert set(caught.value.errors) <= {field.name for field in transport.FIELDS}
    assert "url" in caught.value.errors
    required = [field.name for field in transport.FIELDS if field.required]
    with pytest.raises(ConfigInvalid) as caught:
        transport.parse_config({})
    assert sorted(caught.value.errors) == sorted(required)


def test_pagerduty_triggers_and_resolves_one_incident(http_server: HttpServer) -> None:
    _, _, trigger = send("pagerduty", FIRING, http_server)
    assert trigger["payload"] | {"custom_details": {}} == {
        "summary": "Critical: Usage not recorded for gemini-3-pro",
        "source": "llm-usage-portal",
        "severity": "critical",
        "timestamp": "2026-03-02T08:35:00+00:00",
        "class": "LLMUsageIngestionFailuresCritical",
        "custom_details": {},
    }
    assert (trigger["routing_key"], trigger["event_action"], trigger["dedup_key"]) == ("hidden", "trigger", "alert-7")
    _, _, resolve = send("pagerduty", RESOLVED, http_server)
    assert resolve == {"routing_key": "hidden", "event_action": "resolve", "dedup_key": "alert-7"}


def test_opsgenie_opens_and_closes_one_alert(http_server: HttpServer) -> None:
    path, headers, body = send("opsgenie", FIRING, http_server)
    assert (path, headers["authorization"], body["alias"]) == ("/v2/alerts", "GenieKey hidden", "alert-7")
    assert (body["priority"], len(body["message"]) <= 130) == ("P1", True)
    path, _, body = send("opsgenie", RESOLVED, http_server)
    assert (path, body) == ("/v2/alerts/alert-7/close?identifierType=alias", {"source": "llm-usage-portal"})


def test_telegram_escapes_what_its_markup_would_read(http_server: HttpServer) -> None:
    path, _, body = send("telegram", FIRING, http_server)
    assert (path, body["chat_id"]) == ("/bot123:hidden/sendMessage", "-100")
    assert "tokens &lt;missing&gt; &amp; lost" in body["text"]
    assert len(body["text"]) <= 4096


def test_discord_mentions_nobody(http_server: HttpServer) -> None:
    assert send("discord", FIRING, http_server)[2]["allowed_mentions"] == {"parse": []}


def test_ntfy_publishes_with_priority_and_token(http_server: HttpServer) -> None:
    _, headers, body = send("ntfy", FIRING, http_server)
    assert (headers["authorization"], body["topic"], body["priority"]) == ("Bearer tk_hidden", "hidden", 5)
    assert body["click"] == "https://portal.example/alerts/7/"


def test_an_alertmanager_gets_alerts_with_a_start_and_an_end(http_server: HttpServer) -> None:
    path, _, (alert,) = send("alertmanager", FIRING, http_server)
    assert path == "/api/v2/alerts"
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T08:35:00Z", "2026-04-01T08:35:00+00:00")
    assert alert["labels"]["alertname"] == "LLMUsageIngestionFailuresCritical"
    _, _, (alert,) = send("alertmanager", RESOLVED, http_server)
    assert alert["endsAt"] == "2026-03-02T09:00:00Z"


def test_slack_s_bot_continues_the_thread_and_takes_its_refusals_as_they_are(http_server: HttpServer) -> None:
    transport = TRANSPORTS["slack_bot"]
    config = transport.parse_config({**GIVEN["slack_bot"], "url": http_server.url})
    first = transport.notify(FIRING, config)
    assert first.reference == "1700000000.000100"  # type: ignore[attr-defined]
    message = FIRING.__class__(**{**FIRING.__dict__, "state": "resolved", "reference": "1700000000.000100"})
    transport.notify(message, config)
    body = json.loads(http_server.requests[-1].body)
    assert (body["thread_ts"], body["reply_broadcast"], body["channel"]) == ("1700000000.000100", True, "C1")
    http_server.answers.extend(
        [
            Answer(body=b'{"ok": false, "error": "channel_not_found"}'),
            Answer(body=b'{"ok": false, "error": "ratelimited"}'),
        ]
    )
    http_server.answers.append(Answer(body=b"<html>"))
    for retry in (False, True, True):
        with pytest.raises(DeliveryError) as caught:
            transport.notify(FIRING, config)
        assert caught.value.retry is retry
