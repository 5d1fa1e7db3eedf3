"""Google Chat, through a space's webhook; the messages of an incident are one thread. Source: Google's "Build a
webhook"."""

from __future__ import annotations

from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.text import body, cut, headline, links

FIELDS: tuple[Field, ...] = (
    Field("url", "Webhook URL", "Google Chat: space, Apps and integrations, Webhooks. It is a secret."),
)
TEXT = 3500
THREADED = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …}`."""
    return parse_fields(raw, urls={"url": None}, texts={})


def target(config: dict[str, Any]) -> str:
    """The host; the rest is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post it."""
    joiner = "&" if "?" in config["url"] else "?"
    return post_json(f"{config['url']}{joiner}{THREADED}", payload(message))


def payload(message: Message) -> dict[str, Any]:
    """The request's body."""
    ways = " · ".join(f"<{url}|{word}>" for word, url in links(message))
    text = "\n\n".join(part for part in (f"*{headline(message)}*", cut(body(message), TEXT), ways) if part)
    return {"text": text, "thread": {"threadKey": message.thread or message.key}}
