"""Telegram, by a bot. Source: Telegram's Bot API, sendMessage."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from typing import Any

from alerts.notify.transports.contract import DeliveryError, Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json, post_parts
from alerts.notify.transports.text import body, cut, headline, links

API = "https://api.telegram.org"
FIELDS: tuple[Field, ...] = (
    Field("token", "Bot token", "From @BotFather. It is a secret."),
    Field("chat_id", "Chat", "The id of the chat, or @name of a channel."),
    Field("url", "URL", f"Empty: {API}", required=False),
)
# The whole text may have 4,096 characters; escaping makes some longer.
TITLE, TEXT = 300, 3000


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"token": …, "chat_id": …, "url": …}`."""
    return parse_fields(raw, urls={"url": API}, texts={"token": True, "chat_id": True})


def target(config: dict[str, Any]) -> str:
    """The chat."""
    return f"{config['chat_id']} at {host(config['url'])}"


def notify(message: Message, config: dict[str, Any]) -> str:
    """Send it to the chat, then its chart where there is one: a picture's caption would be too short for the text."""
    bot = f"{config['url'].rstrip('/')}/bot{config['token']}"
    reply = post_json(f"{bot}/sendMessage", payload(message, config["chat_id"]))
    if message.picture:
        # The message has arrived: it is not sent again for its picture.
        with suppress(DeliveryError):
            post_parts(f"{bot}/sendPhoto", {"chat_id": config["chat_id"]}, "photo", message.picture)
    return reply


def payload(message: Message, chat_id: str) -> dict[str, Any]:
    """The request's body."""
    ways = " · ".join(f'<a href="{escape(url)}">{escape(word)}</a>' for word, url in links(message))
    parts = [f"<b>{escape(cut(headline(message), TITLE))}</b>", escape(cut(body(message), TEXT), quote=False), ways]
    return {
        "chat_id": chat_id,
        "text": "\n\n".join(part for part in parts if part),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
