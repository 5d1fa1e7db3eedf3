"""Opsgenie: an incident is one alert there, by its alias. Source: Opsgenie's Alert API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.text import body, cut, facts, headline

API = "https://api.opsgenie.com"
FIELDS: tuple[Field, ...] = (
    Field("api_key", "API key", "Opsgenie: team, Integrations, API. It is a secret."),
    Field("url", "URL", f"Empty: {API}; in the EU https://api.eu.opsgenie.com", required=False),
)
PRIORITIES = {"critical": "P1", "warning": "P3", "info": "P5"}
MESSAGE, DESCRIPTION, SOURCE = 130, 15_000, "llm-usage-portal"


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"api_key": …, "url": …}`."""
    return parse_fields(raw, urls={"url": API}, texts={"api_key": True})


def target(config: dict[str, Any]) -> str:
    """The host; the key is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Create the alert, or close it."""
    headers = {"Authorization": f"GenieKey {config['api_key']}"}
    alias = message.thread or message.key
    address = f"{config['url'].rstrip('/')}/v2/alerts"
    if message.state == "resolved":
        return post_json(f"{address}/{quote(alias, safe='')}/close?identifierType=alias", {"source": SOURCE}, headers)
    return post_json(address, payload(message, alias), headers)


def payload(message: Message, alias: str) -> dict[str, Any]:
    """The alert, within Opsgenie's limits."""
    return {
        "message": cut(headline(message), MESSAGE),
        "alias": alias,
        "description": cut(f"{body(message)}\n\n{message.alert_url}", DESCRIPTION),
        "details": dict(facts(message)),
        "priority": PRIORITIES.get(message.severity, "P3"),
        "source": SOURCE,
    }
