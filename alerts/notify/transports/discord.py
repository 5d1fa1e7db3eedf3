"""Discord, through a channel's webhook: one embed. Source: Discord's "Execute Webhook"."""

from __future__ import annotations

import json
from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json, post_parts
from alerts.notify.transports.text import cut, facts, headline, links

FIELDS: tuple[Field, ...] = (Field("url", "Webhook URL", "Discord: channel, Integrations, Webhooks. It is a secret."),)
COLOURS = {"critical": 0xC9302C, "warning": 0xB26A00, "info": 0x3455DB}
RESOLVED, TEST = 0x1A8A5A, 0x566172
TITLE, DESCRIPTION, NAME, VALUE, FACTS = 256, 2000, 256, 300, 12


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …}`."""
    return parse_fields(raw, urls={"url": None}, texts={})


def target(config: dict[str, Any]) -> str:
    """The host; the path is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post it, with its chart where there is one."""
    body = payload(message)
    if not message.picture:
        return post_json(config["url"], body)
    body["embeds"][0]["image"] = {"url": "attachment://chart.png"}
    return post_parts(config["url"], {"payload_json": json.dumps(body)}, "files[0]", message.picture)


def payload(message: Message) -> dict[str, Any]:
    """The request's body, within Discord's limits. It mentions nobody, whatever the labels say."""
    colour = {"resolved": RESOLVED, "test": TEST}.get(message.state, COLOURS.get(message.severity, COLOURS["info"]))
    ways = " · ".join(f"[{word}]({url})" for word, url in links(message))
    text = "\n\n".join(part for part in (cut(message.description.strip(), 1000), message.note[:500], ways) if part)
    return {
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": cut(headline(message), TITLE),
                "url": message.alert_url,
                "description": cut(text, DESCRIPTION),
                "color": colour,
                "timestamp": message.at.isoformat(),
                "fields": [
                    {"name": cut(name, NAME), "value": cut(value, VALUE), "inline": True}
                    for name, value in facts(message)[:FACTS]
                ],
            }
        ],
    }
