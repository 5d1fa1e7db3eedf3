"""The loopback servers and the database of the tests do what the tests rely on."""

import smtplib
import urllib.error
import urllib.request

import pytest
from django.db import connection

from tests.servers import Answer, HttpServer, SmtpServer


def test_http_server_records_requests_and_answers_as_told(http_server: HttpServer) -> None:
    http_server.answers += [Answer(503, b"later", {"Retry-After": "7"})]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{http_server.url}/hook?x=1", b"first")
    assert (refused.value.code, refused.value.headers["Retry-After"], refused.value.read()) == (503, "7", b"later")
    with urllib.request.urlopen(f"{http_server.url}/hook", b"second") as answer:
        assert (answer.status, answer.read()) == (200, b"ok")
    seen = [(r.method, r.path, r.body, r.headers["content-length"]) for r in http_server.wait_for(2)]
    assert seen == [("POST", "/hook?x=1", b"first", "5"), ("POST", "/hook", b"second", "6")]


def test_smtp_server_records_messages_and_refuses_as_told(smtp_server: SmtpServer) -> None:
    with smtplib.SMTP(smtp_server.host, smtp_server.port) as client:
        client.sendmail("from@example.com", ["to@example.com"], "Subject: hello\r\n\r\nbody\r\n")
        smtp_server.refusal = "550 no such user"
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("from@example.com", ["nobody@example.com"], "Subject: no\r\n\r\nbody\r\n")
    [mail] = smtp_server.messages
    assert (mail.sender, mail.recipients, mail.message["Subject"]) == ("from@example.com", ["to@example.com"], "hello")
    assert mail.message.get_content() == "body\n"


@pytest.mark.django_db
def test_the_database_is_real_postgres_and_our_role_is_no_superuser_when_embedded() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('is_superuser'), current_user"
        )
        version, superuser, user = cursor.fetchone()
    assert version >= 150000
    assert (superuser, user) == ("off", "portal") or connection.settings_dict["USER"] != "portal"
