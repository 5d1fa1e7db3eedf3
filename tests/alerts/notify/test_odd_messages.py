"""No label value, rule or text, however odd, keeps a message from being sent: each layout over anything, to real
servers."""

import datetime as dt
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.notify.transports import TRANSPORTS, email, slack, webhook
from alerts.notify.transports.contract import Message
from core.pg.text import storable
from tests.servers import Answer, HttpServer, SmtpServer

EXAMPLES = int(os.environ.get("MESSAGE_FUZZ_EXAMPLES", "150"))
NASTY = st.sampled_from(
    [
        "\r\nBcc: all@example.org",
        "\n\n.\r\n",
        "\x01\x02\x7f\x85\u2028\u2029\x0b\x0c\x1c\x1e",
        "\u202e\u2066abc\u2069",
        "<!channel> <@U1> &lt; & `code` *bold*",
        "=?utf-8?q?=00?=",
        "é" * 3000,
        "🔴" * 400,
        "a" * 70_000,
        "&" * 4000,
        " ",
        "\t\n",
        "\ufffd",
        "\ufeff",
        "{{ x }} {% y %}",
        "</td></tr></table><script>alert(1)</script>",
    ]
)
# What is stored of an alert is storable; all else may come.
TEXT = st.one_of(NASTY, st.text(max_size=60), st.text(min_size=100, max_size=400)).map(storable)
MOMENT = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
URL = st.just("https://portal.example/alerts/7/")


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message whose links are the portal's."""
    return Message(
        state=draw(st.sampled_from(["firing", "resolved", "test"])),
        severity=draw(st.one_of(st.sampled_from(["critical", "warning", "info"]), TEXT)),
        title=draw(TEXT),
        alertname=draw(TEXT),
        description=draw(TEXT),
        labels=draw(st.dictionaries(TEXT, TEXT, max_size=12)),
        annotations=draw(st.dictionaries(TEXT, TEXT, max_size=4)),
        value=draw(TEXT),
        threshold=draw(TEXT),
        since=draw(MOMENT),
        at=draw(MOMENT),
        note=draw(TEXT),
        rule_url=draw(URL),
        alert_url=draw(URL),
        runbook_url=draw(st.sampled_from(["", "https://portal.example/runbooks/x/"])),
        runbook_title=draw(TEXT),
        fingerprint="abc",
        key="7-12",
    )


@pytest.fixture(autouse=True)
def loopback(portal_setting: Callable[..., None], smtp_server: SmtpServer) -> None:
    portal_setting(outbound_private=True, email_url=smtp_server.url, email_from="portal@example.org")


def anything(test: Callable[..., None]) -> Callable[..., None]:
    """Run the test over messages; its servers stay the same."""
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    bounded = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=suppressed, database=None)
    return bounded(given(message=messages())(test))


def texts_of(block: Any) -> list[tuple[str, int]]:
    """Every text of a block with Slack's limit for its place."""
    limits = {"header": 150, "section": 3000, "context": 2000}
    found = []
    if "text" in block:
        found.append((block["text"]["text"], limits[block["type"]]))
    found += [(field["text"], 2000) for field in block.get("fields", [])]
    found += [(one["text"], 2000) for one in block.get("elements", []) if block["type"] == "context"]
    return found


@anything
def test_slack_takes_every_message(message: Message, http_server: HttpServer) -> None:
    assert slack.notify(message, {"url": http_server.url}) == "HTTP 200 ok"
    body = json.loads(http_server.requests.pop().body)
    blocks = [*body["blocks"], *body["attachments"][0]["blocks"]]
    assert 0 < len(body["text"]) <= 40_000
    for text, limit in [pair for block in blocks for pair in texts_of(block)]:
        assert 0 < len(text.strip()) <= len(text) <= limit
    # A header is plain text; all else is markup.
    assert "<!channel>" not in json.dumps([body["text"], blocks[1:]])


@anything
def test_mail_takes_every_message_as_one_message_to_the_same_recipients(
    message: Message, smtp_server: SmtpServer
) -> None:
    assert email.notify(message, {"to": ["ops@example.org"]}).startswith("250")
    mail = smtp_server.messages.pop()
    assert mail.recipients == ["ops@example.org"]
    assert mail.message["To"] == "ops@example.org"
    assert mail.message["Bcc"] is None
    subjects = mail.message.get_all("Subject")
    assert len(subjects) == 1
    assert "\n" not in subjects[0]
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    for part in mail.message.iter_parts():
        assert message.alert_url in part.get_content()


@anything
def test_webhooks_take_every_message(message: Message, http_server: HttpServer) -> None:
    assert webhook.notify(message, {"url": http_server.url, "token": ""}) == "HTTP 200 ok"
    body = json.loads(http_server.requests.pop().body)
    for name, value in message.labels.items():
        assert body["alerts"][0]["labels"][name] == value


GIVEN = {
    "slack_bot": {"token": "xoxb-1", "channel": "C1"},
    "pagerduty": {"routing_key": "k"},
    "opsgenie": {"api_key": "k"},
    "teams": {},
    "discord": {},
    "telegram": {"token": "1:k", "chat_id": "-100"},
    "google_chat": {},
    "ntfy": {"topic": "t"},
    "alertmanager": {},
}


@pytest.mark.parametrize("kind", sorted(GIVEN))
def test_the_other_services_take_every_message(kind: str, http_server: HttpServer) -> None:
    http_server.default = Answer(body=b'{"ok": true, "ts": "1.2"}')
    transport = TRANSPORTS[kind]
    config = transport.parse_config({**GIVEN[kind], "url": http_server.url})

    @anything
    def taken(message: Message) -> None:
        assert transport.notify(message, config).startswith("HTTP 200")
        request = http_server.requests.pop()
        assert json.loads(request.body.decode())

    taken()
