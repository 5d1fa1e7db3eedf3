"""Microsoft Teams, through a workflow's webhook: one adaptive card. Source: Microsoft's "Post to a channel when a
webhook request is received"."""

from __future__ import annotations

from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.text import cut, facts, headline, links

FIELDS: tuple[Field, ...] = (
    Field("url", "Workflow URL", "Teams: channel, Workflows, when a webhook request is received. It is a secret."),
)
COLOURS = {"critical": "Attention", "warning": "Warning", "info": "Accent"}
TEXT = 5000


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …}`."""
    return parse_fields(raw, urls={"url": None}, texts={})


def target(config: dict[str, Any]) -> str:
    """The host; the path is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post the card."""
    return post_json(config["url"], payload(message))


def payload(message: Message) -> dict[str, Any]:
    """The request's body."""
    colour = "Good" if message.state == "resolved" else COLOURS.get(message.severity, "Default")
    heading = {"type": "TextBlock", "text": cut(headline(message), 300), "weight": "Bolder", "size": "Medium"}
    rows = [{"title": name, "value": cut(text, 300)} for name, text in facts(message)]
    paragraphs = [text for text in (message.description.strip(), message.note) if text]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {**heading, "color": colour, "wrap": True},
            *({"type": "TextBlock", "text": cut(text, TEXT), "wrap": True} for text in paragraphs),
            *([{"type": "FactSet", "facts": rows}] if rows else []),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": word, "url": url} for word, url in links(message)],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}
