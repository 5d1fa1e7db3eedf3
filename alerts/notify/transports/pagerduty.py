"""PagerDuty, Events API v2: an incident of ours is one of theirs, by its dedup key. Source: PagerDuty's "Send an Alert
Event"."""

from __future__ import annotations

from typing import Any

from alerts.notify.transports.contract import Field, Message
from alerts.notify.transports.http import host, parse_fields, post_json
from alerts.notify.transports.text import body, cut, facts, headline, links

EVENTS = "https://events.pagerduty.com/v2/enqueue"
FIELDS: tuple[Field, ...] = (
    Field("routing_key", "Integration key", "PagerDuty: service, Integrations, Events API V2. It is a secret."),
    Field("url", "URL", f"Empty: {EVENTS}", required=False),
)
SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}
SUMMARY = 1024


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"routing_key": …, "url": …}`."""
    return parse_fields(raw, urls={"url": EVENTS}, texts={"routing_key": True})


def target(config: dict[str, Any]) -> str:
    """The host; the key is the secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """Trigger or resolve. A repeated event has the same dedup key, so PagerDuty shows it once."""
    return post_json(config["url"], payload(message, config["routing_key"]))


def payload(message: Message, routing_key: str) -> dict[str, Any]:
    """The event."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.state == "resolved" else "trigger",
        "dedup_key": message.thread or message.key,
    }
    if message.state == "resolved":
        return event
    return {
        **event,
        "client": "LLM usage portal",
        "client_url": message.alert_url,
        "links": [{"href": url, "text": word} for word, url in links(message)],
        "payload": {
            "summary": cut(headline(message), SUMMARY),
            "source": "llm-usage-portal",
            "severity": SEVERITIES.get(message.severity, "error"),
            "timestamp": message.since.isoformat(),
            "class": message.alertname,
            "custom_details": {**dict(facts(message)), "text": body(message)},
        },
    }
