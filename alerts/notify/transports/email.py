"""Email over SMTP: plain text and HTML of one message; firing and resolved of an alert are one thread."""

from __future__ import annotations

import smtplib
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.template.loader import render_to_string

from alerts.notify.transports.contract import ConfigInvalid, DeliveryError, Field, Message
from core.net.outbound import remaining

FIELDS: tuple[Field, ...] = (Field("to", "Recipients", "Addresses, separated by commas."),)
SECONDS, SECONDS_IN_ALL = 10, 40
RECIPIENTS = 50
SUBJECT = 200
CHART = "chart@llm-usage-portal"
COLOURS = {"resolved": "#1a8a5a", "test": "#566172", "notice": "#566172", "critical": "#c9302c", "warning": "#b26a00"}
PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True)
class Server:
    """An SMTP server. `tls` is none, starttls or implicit."""

    host: str
    port: int
    user: str
    password: str
    tls: str


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"to": […]}`, from a list or from text with commas."""
    given = raw.get("to") or []
    parts = given.replace(";", ",").replace("\n", ",").split(",") if isinstance(given, str) else given
    to = [str(part).strip() for part in parts if str(part).strip()]
    if not to:
        raise ConfigInvalid({"to": "is missing"})
    if len(to) > RECIPIENTS:
        raise ConfigInvalid({"to": f"has more than {RECIPIENTS} addresses"})
    for address in to:
        try:
            validate_email(address)
        except ValidationError:
            raise ConfigInvalid({"to": f"{address!r} is not an email address"}) from None
    return {"to": to}


def target(config: dict[str, Any]) -> str:
    """The recipients; they are no secret."""
    return ", ".join(config["to"])


def parse_server(url: str) -> Server:
    """`smtp://user:password@host:port?tls=starttls`, or smtps:// for TLS from the start. DeliveryError when it cannot
    be used."""
    if not url:
        raise DeliveryError("no mail server is set up: EMAIL_URL is empty", retry=False)
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise DeliveryError("EMAIL_URL is not a URL", retry=False) from None
    tls = query.pop("tls", ["implicit" if parts.scheme == "smtps" else "none"])[0]
    if parts.scheme not in PORTS or not parts.hostname or query or tls not in ("none", "starttls", "implicit"):
        raise DeliveryError(
            "EMAIL_URL must read smtp(s)://user:password@host:port?tls=none|starttls|implicit", retry=False
        )
    return Server(parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""), tls)


def notify(message: Message, config: dict[str, Any]) -> str:
    """Hand it to the mail server; the server's reply, with the recipients that it refused."""
    server = parse_server(settings.PORTAL.email_url)
    mail = build(message, config["to"], settings.PORTAL.email_from)
    try:
        deadline = time.monotonic() + SECONDS_IN_ALL
        smtp = connect(server, deadline)
        try:
            return send(smtp, settings.PORTAL.email_from, config["to"], mail.as_bytes(policy=SMTP), deadline)
        finally:
            # The mail is taken or it is not: how the parting goes changes nothing about that.
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
    except smtplib.SMTPResponseException as error:
        raise refused(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(f"the mail server cannot do what is asked: {error}", retry=False) from None
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(
            f"the mail server's certificate is not trusted: {error.verify_message}", retry=False
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"the mail server cannot be reached: {error or type(error).__name__}", retry=True) from None


def connect(server: Server, deadline: float) -> smtplib.SMTP:
    """A connection that is encrypted and logged in as set up, by `deadline` (monotonic)."""
    context = ssl.create_default_context()
    smtp: smtplib.SMTP
    if server.tls == "implicit":
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=SECONDS)
    try:
        if server.tls == "starttls":
            hurry(smtp, deadline)
            smtp.starttls(context=context)
        if server.user:
            hurry(smtp, deadline)
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def send(smtp: smtplib.SMTP, sender: str, recipients: list[str], mail: bytes, deadline: float) -> str:
    """One mail transaction, over by `deadline` (monotonic). It counts as sent when the server took it for at least one
    recipient."""
    smtp.ehlo_or_helo_if_needed()
    code, said = smtp.mail(sender)
    if code != 250:
        raise refused(code, said)
    answers = {}
    for address in recipients:
        hurry(smtp, deadline)
        answers[address] = smtp.rcpt(address)
    taken = [address for address, (code, _) in answers.items() if code in (250, 251)]
    if not taken:
        code, said = min(answers.values())
        raise refused(code, said)
    hurry(smtp, deadline)
    code, said = smtp.data(mail)
    if code != 250:
        raise refused(code, said)
    lost = [
        f"{address} refused: {code} {_text(said)}" for address, (code, said) in answers.items() if address not in taken
    ]
    return "; ".join([f"{code} {_text(said)}", *lost])[:200]


def hurry(smtp: smtplib.SMTP, deadline: float) -> None:
    """Give the next step no more than what is left of the time; TimeoutError when that is over."""
    if smtp.sock is not None:
        smtp.sock.settimeout(min(SECONDS, remaining(deadline)))


def refused(code: int, said: bytes | str) -> DeliveryError:
    """The server's refusal; its 5xx are for good."""
    reply = f"{code} {_text(said)}"[:200]
    return DeliveryError(f"the mail server refused: {reply}", retry=not 500 <= code < 600, reply=reply)


def build(message: Message, to: list[str], sender: str) -> EmailMessage:
    """The mail. Its Message-ID is the same at every try, so that mail programs show a repeated one once."""
    domain = sender.rsplit("@", 1)[-1]
    mail = EmailMessage()
    mail["Subject"] = subject(message)
    mail["From"] = Address("LLM usage portal", addr_spec=sender)
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    if message.thread:
        mail["References"] = f"<{message.thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(render_to_string("alerts/email.txt", {"message": message}).strip() + "\n")
    mail.add_alternative(
        render_to_string("alerts/email.html", {"message": message, "colour": colour_of(message), "cid": CHART}),
        subtype="html",
    )
    if message.picture:
        shown = mail.get_body(("html",))
        if isinstance(shown, EmailMessage):
            shown.add_related(
                message.picture, "image", "png", cid=f"<{CHART}>", disposition="inline", filename="chart.png"
            )
    return mail


def subject(message: Message) -> str:
    """State or severity, then the title, on one line."""
    lead = {"resolved": "Resolved", "test": "Test", "notice": "Notice"}.get(
        message.state, message.severity.capitalize()
    )
    return one_line(f"[{lead}] {message.title}")[:SUBJECT]


def colour_of(message: Message) -> str:
    """The colour of its heading: by state, and while it fires by severity."""
    return COLOURS.get(message.state) or COLOURS.get(message.severity, "#3455db")


def one_line(text: str) -> str:
    """The text without control characters, which no header may hold, and with one space for any white space."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())
