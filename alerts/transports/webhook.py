"""Any receiver of Alertmanager's webhook format (version 4): one alert per request."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings

from alerts.transports.contract import ConfigInvalid, Field, Message
from alerts.transports.http import host, post_json, url_problem

FIELDS: tuple[Field, ...] = (
    Field("url", "URL", "Receives a POST in the format of Alertmanager's webhooks."),
    Field("token", "Bearer token", "Sent as the Authorization header.", required=False),
)
NEVER = "0001-01-01T00:00:00Z"


def parse_config(raw: dict[str, Any]) -> dict[str, Any]:
    """`{"url": …, "token": …}`; the token may be empty."""
    errors = {}
    if problem := url_problem(raw.get("url")):
        errors["url"] = problem
    token = raw.get("token") or ""
    if not isinstance(token, str) or not token.strip().isascii() or any(letter.isspace() for letter in token.strip()):
        errors |= {"token": "must be one word of ASCII letters"}
    if errors:
        raise ConfigInvalid(errors)
    return {"url": raw["url"].strip(), "token": token.strip()}


def target(config: dict[str, Any]) -> str:
    """The host; the path may hold a secret."""
    return host(config["url"])


def notify(message: Message, config: dict[str, Any]) -> str:
    """POST it. A repeated request carries the same Idempotency-Key."""
    headers = {"Idempotency-Key": message.key}
    if config["token"]:
        headers["Authorization"] = f"Bearer {config['token']}"
    return post_json(config["url"], payload(message), headers)


def payload(message: Message) -> dict[str, Any]:
    """The request's body."""
    labels = {"alertname": message.alertname, "severity": message.severity, **message.labels}
    status = "resolved" if message.state == "resolved" else "firing"
    annotations = {**message.annotations, "runbook_url": message.runbook_url}
    if message.note:
        annotations["note"] = message.note
    return {
        "version": "4",
        "groupKey": f"{{}}:{{alertname={message.alertname!r}, fingerprint={message.fingerprint!r}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "llm-usage-portal",
        "groupLabels": {"alertname": message.alertname},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": settings.PORTAL.public_url,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": stamp(message.since),
                "endsAt": stamp(message.at) if status == "resolved" else NEVER,
                "generatorURL": message.rule_url,
                "fingerprint": message.fingerprint,
            }
        ],
    }


def stamp(at: dt.datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
