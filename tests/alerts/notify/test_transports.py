"""Slack, email and webhook: what they send to real servers, and what they make of the answers."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerts.notify.transports import email, slack, webhook
from alerts.notify.transports.contract import ConfigInvalid, DeliveryError, Message
from tests.servers import Answer, HttpServer, SmtpServer, free_port

FIRING = Message(
    state="firing",
    severity="critical",
    title="Usage not recorded for gemini-3-pro",
    alertname="LLMUsageIngestionFailuresCritical",
    description="Calls succeed, tokens <missing> & lost",
    labels={"model": "gemini-3-pro", "provider": "google"},
    annotations={"summary": "Usage not recorded for gemini-3-pro"},
    value="6.4 %",
    threshold="1 %",
    since=dt.datetime(2026, 3, 2, 8, 35, tzinfo=dt.UTC),
    at=dt.datetime(2026, 3, 2, 8, 35, tzinfo=dt.UTC),
    note="",
    rule_url="https://portal.example/rules/1/",
    alert_url="https://portal.example/alerts/7/",
    runbook_url="https://portal.example/runbooks/usage-not-recorded/",
    runbook_title="Usage is not recorded",
    fingerprint="abc",
    key="7-12",
    thread="alert-7",
)
RESOLVED = dataclasses.replace(
    FIRING, state="resolved", at=dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC), key="7-15", note="Evaluated late: x."
)
TEST = dataclasses.replace(
    FIRING, state="test", severity="info", title="Test message to ops", key="test-1", thread="", labels={}
)


@pytest.fixture(autouse=True)
def loopback(portal_setting: Callable[..., None], smtp_server: SmtpServer) -> None:
    portal_setting(outbound_private=True, email_url=smtp_server.url, email_from="portal@example.org")


def blocks(message: Message) -> list[dict[str, Any]]:
    payload = slack.payload(message)
    return [*payload["blocks"], *payload["attachments"][0]["blocks"]]


def test_slack_gets_state_facts_labels_and_links(http_server: HttpServer) -> None:
    reply = slack.notify(FIRING, {"url": f"{http_server.url}/services/T/B/secret"})
    assert reply == "HTTP 200 ok"
    request = http_server.requests[0]
    assert request.path == "/services/T/B/secret"
    assert request.headers["content-type"] == "application/json"
    date = "<!date^1772440500^{date_short_pretty} {time_secs}|2026-03-02 08:35:00 UTC>"
    assert json.loads(request.body) == {
        "text": "🔴 Critical: Usage not recorded for gemini-3-pro",
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": "🔴 Critical: Usage not recorded for gemini-3-pro",
                    "emoji": True,
                },
            }
        ],
        "attachments": [
            {
                "color": "#c9302c",
                "blocks": [
                    {
                        "type": "section",
                        "text": {"type": "mrkdwn", "text": "Calls succeed, tokens &lt;missing&gt; &amp; lost"},
                    },
                    {
                        "type": "section",
                        "fields": [
                            {"type": "mrkdwn", "text": "*Value*\n6.4 %"},
                            {"type": "mrkdwn", "text": "*Threshold*\n1 %"},
                            {"type": "mrkdwn", "text": f"*Firing since*\n{date}"},
                        ],
                    },
                    {
                        "type": "section",
                        "text": {"type": "mrkdwn", "text": "model `gemini-3-pro`  provider `google`"},
                    },
                    {"type": "context", "elements": [{"type": "mrkdwn", "text": "LLMUsageIngestionFailuresCritical"}]},
                    {
                        "type": "actions",
                        "elements": [
                            {
                                "type": "button",
                                "text": {"type": "plain_text", "text": text, "emoji": True},
                                "url": url,
                                "action_id": f"open-{number}",
                            }
                            for number, (text, url) in enumerate(
                                [
                                    ("Alert", FIRING.alert_url),
                                    ("Chart and rule", FIRING.rule_url),
                                    ("Runbook", FIRING.runbook_url),
                                ]
                            )
                        ],
                    },
                ],
            }
        ],
    }


def test_slack_shows_resolved_and_test_in_their_own_look() -> None:
    resolved = slack.payload(RESOLVED)
    assert resolved["attachments"][0]["color"] == "#1a8a5a"
    assert resolved["text"] == "✅ Resolved: Usage not recorded for gemini-3-pro"
    assert "*Resolved at*" in json.dumps(resolved)
    assert "*Last value*" in json.dumps(resolved)
    assert "*Evaluated late: x.*" in json.dumps(resolved)
    assert slack.payload(TEST)["attachments"][0]["color"] == "#566172"
    assert [block["type"] for block in blocks(TEST)] == ["header", "section", "context", "actions"]


def test_slack_s_limits_hold_for_texts_of_any_length() -> None:
    long = "<&>" * 3000
    message = dataclasses.replace(
        FIRING,
        title=long,
        description=long,
        alertname=long,
        value=long,
        threshold=long,
        note=long,
        labels={f"label{number}": long for number in range(50)},
    )
    for block in blocks(message):
        text = block.get("text", {}).get("text", "")
        assert len(text) <= (150 if block["type"] == "header" else 3000)
        assert all(len(part["text"]) <= 2000 for part in block.get("fields", []))
        assert not text.endswith(("&l…", "&lt…", "&a…", "&am…", "&amp…", "&g…", "&gt…", "&…"))


def test_slack_markup_in_a_label_stays_text() -> None:
    message = dataclasses.replace(FIRING, labels={"model": "`<!channel>` *x*"})
    assert "<!channel>" not in json.dumps(blocks(message), ensure_ascii=False)


@pytest.mark.parametrize(
    ("answer", "retry", "after"),
    [
        (Answer(404, b"no_service"), False, None),
        (Answer(404, b"channel_not_found"), False, None),
        (Answer(400, b"invalid_blocks"), False, None),
        (Answer(403, b"action_prohibited"), False, None),
        (Answer(302, b"", {"Location": "http://127.0.0.1/"}), False, None),
        (Answer(429, b"rate_limited", {"Retry-After": "30"}), True, 30),
        (Answer(408), True, None),
        (Answer(500, b"rollup_error"), True, None),
        (Answer(503, b"", {"Retry-After": "120"}), True, 120),
    ],
)
def test_an_answer_says_whether_trying_again_helps(
    http_server: HttpServer, answer: Answer, retry: bool, after: float | None
) -> None:
    http_server.answers.append(answer)
    with pytest.raises(DeliveryError) as failed:
        slack.notify(FIRING, {"url": f"{http_server.url}/secret"})
    assert (failed.value.retry, failed.value.after) == (retry, after)
    assert "secret" not in str(failed.value)


def test_nobody_listening_is_worth_another_try() -> None:
    with pytest.raises(DeliveryError) as failed:
        slack.notify(FIRING, {"url": f"http://127.0.0.1:{free_port()}/secret"})
    assert failed.value.retry
    assert "secret" not in str(failed.value)


def test_a_private_target_is_not_tried_again(portal_setting: Callable[..., None]) -> None:
    portal_setting(outbound_private=False)
    with pytest.raises(DeliveryError, match="private") as failed:
        slack.notify(FIRING, {"url": "https://127.0.0.1/"})
    assert not failed.value.retry


def test_a_webhook_gets_alertmanager_s_format(http_server: HttpServer) -> None:
    webhook.notify(RESOLVED, {"url": f"{http_server.url}/hook", "token": "t0ken"})
    request = http_server.requests[0]
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["idempotency-key"] == "7-15"
    body = json.loads(request.body)
    assert (body["version"], body["status"], body["receiver"]) == ("4", "resolved", "llm-usage-portal")
    assert body["alerts"] == [
        {
            "status": "resolved",
            "labels": {
                "alertname": "LLMUsageIngestionFailuresCritical",
                "severity": "critical",
                "model": "gemini-3-pro",
                "provider": "google",
            },
            "annotations": {
                "summary": "Usage not recorded for gemini-3-pro",
                "runbook_url": RESOLVED.runbook_url,
                "note": "Evaluated late: x.",
            },
            "startsAt": "2026-03-02T08:35:00Z",
            "endsAt": "2026-03-02T09:00:00Z",
            "generatorURL": RESOLVED.rule_url,
            "fingerprint": "abc",
        }
    ]
    webhook.notify(FIRING, {"url": f"{http_server.url}/hook", "token": ""})
    assert "authorization" not in http_server.requests[1].headers
    assert json.loads(http_server.requests[1].body)["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"


def test_email_is_text_and_html_of_one_message(smtp_server: SmtpServer) -> None:
    reply = email.notify(FIRING, {"to": ["ops@example.org", "ada@example.org"]})
    assert reply == "250 OK"
    mail = smtp_server.messages[0]
    assert (mail.sender, mail.recipients) == ("portal@example.org", ["ops@example.org", "ada@example.org"])
    assert mail.message["Subject"] == "[Critical] Usage not recorded for gemini-3-pro"
    assert mail.message["From"] == "LLM usage portal <portal@example.org>"
    assert mail.message["Message-ID"] == "<7-12@example.org>"
    assert mail.message["References"] == "<alert-7@example.org>"
    text = mail.message.get_body(("plain",))
    html = mail.message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content() == (
        "CRITICAL, firing: Usage not recorded for gemini-3-pro\n\n"
        "Calls succeed, tokens <missing> & lost\n\n"
        "Value:        6.4 %\nThreshold:    1 %\nFiring since: 2026-03-02 08:35:00 UTC\n"
        "model: gemini-3-pro\nprovider: google\n\n"
        "Alert:          https://portal.example/alerts/7/\n"
        "Chart and rule: https://portal.example/rules/1/\n"
        "Runbook:        https://portal.example/runbooks/usage-not-recorded/\n\n"
        "Rule LLMUsageIngestionFailuresCritical\n"
    )
    assert "tokens &lt;missing&gt; &amp; lost" in html.get_content()
    assert 'href="https://portal.example/alerts/7/"' in html.get_content()


def test_email_of_resolved_says_until_when_and_joins_the_thread(smtp_server: SmtpServer) -> None:
    email.notify(RESOLVED, {"to": ["ops@example.org"]})
    mail = smtp_server.messages[0].message
    text = mail.get_body(("plain",))
    assert text is not None
    assert mail["Subject"] == "[Resolved] Usage not recorded for gemini-3-pro"
    assert (mail["Message-ID"], mail["References"]) == ("<7-15@example.org>", "<alert-7@example.org>")
    assert "Resolved at:  2026-03-02 09:00:00 UTC\n" in text.get_content()
    assert "Last value:   6.4 %\n" in text.get_content()
    assert "Evaluated late: x." in text.get_content()


def test_a_title_with_line_breaks_adds_no_header(smtp_server: SmtpServer) -> None:
    email.notify(dataclasses.replace(FIRING, title="a\r\nBcc: eve@example.org\nb"), {"to": ["ops@example.org"]})
    assert smtp_server.messages[0].message["Subject"] == "[Critical] a Bcc: eve@example.org b"
    assert smtp_server.messages[0].message["Bcc"] is None


@pytest.mark.parametrize(("refusal", "retry"), [("550 no such user", False), ("451 try later", True)])
def test_a_refusal_of_the_mail_server_says_whether_trying_again_helps(
    smtp_server: SmtpServer, refusal: str, retry: bool
) -> None:
    smtp_server.refusal = refusal
    with pytest.raises(DeliveryError, match=refusal) as failed:
        email.notify(FIRING, {"to": ["ops@example.org"]})
    assert failed.value.retry is retry
    assert smtp_server.messages == []


class Picky(SmtpServer):
    """Refuses one recipient, and is rude at the end."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("gone"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return "554 go away"


def test_a_mail_that_was_taken_for_some_is_sent_and_says_for_whom_not(portal_setting: Callable[..., None]) -> None:
    picky = Picky()
    controller = Controller(picky, hostname="127.0.0.1", port=free_port())
    controller.start()
    portal_setting(email_url=f"smtp://127.0.0.1:{controller.port}")
    try:
        reply = email.notify(FIRING, {"to": ["ops@example.org", "gone@example.org"]})
    finally:
        controller.stop()
    assert reply == "250 OK; gone@example.org refused: 550 no such user"
    assert [mail.recipients for mail in picky.messages] == [["ops@example.org"]]


def test_a_mail_server_that_takes_too_long_in_all_is_left(
    portal_setting: Callable[..., None], smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "SECONDS_IN_ALL", 0)
    with pytest.raises(DeliveryError, match="cannot be reached") as failed:
        email.notify(FIRING, {"to": ["ops@example.org"]})
    assert failed.value.retry
    assert smtp_server.messages == []


def test_a_mail_server_that_is_away_is_worth_another_try(portal_setting: Callable[..., None]) -> None:
    portal_setting(email_url=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(DeliveryError, match="cannot be reached") as failed:
        email.notify(FIRING, {"to": ["ops@example.org"]})
    assert failed.value.retry


def test_starttls_that_the_server_does_not_know_is_final(
    portal_setting: Callable[..., None], smtp_server: SmtpServer
) -> None:
    portal_setting(email_url=f"{smtp_server.url}?tls=starttls")
    with pytest.raises(DeliveryError, match="cannot do what is asked") as failed:
        email.notify(FIRING, {"to": ["ops@example.org"]})
    assert not failed.value.retry


def test_the_mail_server_s_url_is_read_strictly() -> None:
    server = email.parse_server("smtp://us%40er:p%2Fw@mail.example.org:587?tls=starttls")
    assert server == email.Server("mail.example.org", 587, "us@er", "p/w", "starttls")
    assert email.parse_server("smtps://mail.example.org") == email.Server("mail.example.org", 465, "", "", "implicit")
    for url in ("", "http://x", "smtp://", "smtp://x?tls=maybe", "smtp://x?ssl=1", "smtp://x:port"):
        with pytest.raises(DeliveryError, match="EMAIL_URL"):
            email.parse_server(url)


@pytest.mark.parametrize(
    ("transport", "raw", "field"),
    [
        (slack, {}, "url"),
        (slack, {"url": "ftp://x"}, "url"),
        (webhook, {"url": "https://x.example/", "token": "two words"}, "token"),
        (email, {"to": " , "}, "to"),
        (email, {"to": "nobody"}, "to"),
        (email, {"to": ",".join(f"a{n}@example.org" for n in range(51))}, "to"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(transport: Any, raw: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        transport.parse_config(raw)
    assert set(refused.value.errors) == {field}


def test_targets_show_no_secret() -> None:
    assert slack.target({"url": "https://hooks.slack.com/services/T0/B0/secret"}) == "hooks.slack.com"
    assert webhook.target({"url": "https://x.example/hook?key=secret"}) == "x.example"
    assert email.target(email.parse_config({"to": "a@example.org; b@example.org"})) == "a@example.org, b@example.org"
