"""An existing Alertmanager, which groups and routes on its own: POST /api/v2/alerts. Source: Alertmanager's OpenAPI."""

from __future__ import annotations

import datetime as dt
from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.webhook import alert_lines

FIELDS: tuple[Field, ...] = (
    Field("url", "URL", "Of the Alertmanager, without /api/v2."),
    Field("token", "Bearer token", "Sent as the Authorization header.", required=False),
)
# Without an end an Alertmanager takes an alert for resolved after its resolve_timeout; ours fire until we say
# otherwise.
FIRES_FOR = dt.timedelta(days=30)


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …, "token": …}`."""
    return parse_fields(raw, urls={"url": None}, texts={"token": False})


def target(config: dict[str, Any]) -> str:
    """The host."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Post its alerts. Sent again, they are merged there."""
    headers = {"Authorization": f"Bearer {config['token']}"} if config["token"] else {}
    return post_json(f"{config['url'].rstrip('/')}/api/v2/alerts", payload(message), headers)


def payload(message: Message) -> list[dict[str, Any]]:
    """Its alerts, each with a start and an end."""
    names = ("labels", "annotations", "startsAt", "generatorURL")
    until = (message.at + FIRES_FOR).isoformat()
    return [
        {**{name: line[name] for name in names}, "endsAt": line["endsAt"] if line["status"] == "resolved" else until}
        for line in alert_lines(message)
    ]
