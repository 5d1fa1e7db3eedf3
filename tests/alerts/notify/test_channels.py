"""Channels: secrets, edits, test messages."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from alerts.models import Channel
from alerts.notify.channels import config_fields, create_channel, delete_channel, send_test, update_channel
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import ConfigInvalid
from alerts.queries import channel_list
from tests.alerts.conftest import NOW
from tests.servers import Answer, HttpServer, SmtpServer

pytestmark = pytest.mark.django_db
URL = "https://hooks.slack.com/services/T0/B0/s3cret"


def test_a_secret_is_not_in_the_database_in_clear() -> None:
    channel = create_channel("slack", "ops", {"url": URL})
    with connection.cursor() as cursor:
        cursor.execute("SELECT alerts_channel::text FROM alerts_channel")
        row = cursor.fetchone()[0]
    assert "s3cret" not in row
    assert b"s3cret" not in bytes(channel.config_encrypted)
    channel.refresh_from_db()
    assert decrypt(channel.config_encrypted) == {"url": URL}
    assert channel.target == "hooks.slack.com"


def test_under_another_secret_key_the_channel_says_that_it_needs_its_secret_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel = create_channel("slack", "ops", {"url": URL})
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    with pytest.raises(SecretLost):
        decrypt(channel.config_encrypted)
    result = send_test(channel, now=NOW)
    assert not result.ok
    assert "enter it again" in result.error


def test_an_edit_without_configuration_keeps_the_secret() -> None:
    channel = create_channel("slack", "ops", {"url": URL})
    given: dict[str, Any] = {"severities": ["critical"], "send_resolved": False, "enabled": False}
    update_channel(channel, name="ops 2", config=None, rate_limit=None, rate_seconds=600, **given)
    channel.refresh_from_db()
    assert decrypt(channel.config_encrypted) == {"url": URL}
    assert (channel.name, channel.severities, channel.send_resolved, channel.enabled) == (
        "ops 2",
        ["critical"],
        False,
        False,
    )
    given = {"severities": [], "send_resolved": True, "enabled": True, "rate_limit": None, "rate_seconds": 600}
    update_channel(channel, name="ops 2", config={"url": URL + "2"}, **given)
    assert decrypt(Channel.objects.get().config_encrypted) == {"url": URL + "2"}


def test_what_is_wrong_is_said_by_field() -> None:
    create_channel("slack", "ops", {"url": URL})
    with pytest.raises(ConfigInvalid) as refused:
        create_channel("slack", "ops", {"url": "nonsense"}, severities=["loud"])
    assert set(refused.value.errors) == {"name", "url", "severities"}
    with pytest.raises(ConfigInvalid, match="kind"):
        create_channel("pigeon", "x", {})
    assert Channel.objects.count() == 1


def test_every_kind_has_a_transport_and_a_form() -> None:
    assert set(TRANSPORTS) == set(Channel.Kind.values)
    assert [field.name for field in config_fields("webhook")] == ["url", "token"]


def test_a_test_message_arrives_and_the_answer_is_shown(
    http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = create_channel("slack", "ops", {"url": http_server.url})
    result = send_test(channel, now=NOW)
    assert (result.ok, result.reply, result.error) == (True, "HTTP 200 ok", "")
    assert b"Test message to ops" in http_server.requests[0].body
    http_server.answers.append(Answer(404, b"no_service"))
    result = send_test(channel, now=NOW)
    assert (result.ok, result.error) == (False, "HTTP 404 no_service")


def test_a_test_message_by_email_arrives(smtp_server: SmtpServer, portal_setting: Callable[..., None]) -> None:
    portal_setting(email_url=smtp_server.url)
    channel = create_channel("email", "mail", {"to": "ops@example.org"})
    assert send_test(channel, now=NOW).ok
    assert smtp_server.messages[0].message["Subject"] == "[Test] Test message to mail"


def test_a_deleted_channel_is_gone_with_its_secret() -> None:
    delete_channel(create_channel("slack", "ops", {"url": URL}))
    assert channel_list() == []
