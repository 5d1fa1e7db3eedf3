"""ntfy, as a JSON message to a topic. Source: ntfy's "Publish as JSON"."""

from __future__ import annotations

from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.text import body, cut, headline, links

SERVER = "https://ntfy.sh"
FIELDS: tuple[Field, ...] = (
    Field("topic", "Topic", "Who knows it can read along, where the server asks for no token."),
    Field("token", "Access token", "Of a protected topic.", required=False),
    Field("url", "Server", f"Empty: {SERVER}", required=False),
)
PRIORITIES = {"critical": 5, "warning": 4, "info": 3}
TAGS = {"critical": "rotating_light", "warning": "warning", "info": "information_source"}
TITLE, TEXT = 250, 3500


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"topic": …, "token": …, "url": …}`."""
    return parse_fields(raw, urls={"url": SERVER}, texts={"topic": True, "token": False})


def target(config: dict[str, Any]) -> str:
    """The server; the topic may be the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Publish it."""
    headers = {"Authorization": f"Bearer {config['token']}"} if config["token"] else {}
    return post_json(config["url"], payload(message, config["topic"]), headers)


def payload(message: Message, topic: str) -> dict[str, Any]:
    """The message."""
    resolved = message.state == "resolved"
    return {
        "topic": topic,
        "title": cut(headline(message), TITLE),
        "message": cut(body(message) or headline(message), TEXT),
        "priority": 3 if resolved else PRIORITIES.get(message.severity, 3),
        "tags": ["white_check_mark" if resolved else TAGS.get(message.severity, "information_source")],
        "click": message.alert_url,
        "actions": [{"action": "view", "label": word, "url": url} for word, url in links(message)[:3]],
    }
