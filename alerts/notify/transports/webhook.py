"""Any receiver of Alertmanager's webhook format (version 4): one incident per request."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings

from alerts.notify.transports.contract import AlertLine, ConfigInvalid, Field, Message
from alerts.notify.transports.http import host, post_json, url_problem

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
    """The request's body: all alerts of the message; what is the same in all of them is in
    `commonLabels` and `commonAnnotations`."""
    status = "resolved" if message.state == "resolved" else "firing"
    alerts = alert_lines(message)
    return {
        "version": "4",
        "groupKey": message.group_key
        or f"{{}}:{{alertname={message.alertname!r}, fingerprint={message.fingerprint!r}}}",
        "truncatedAlerts": message.left_out,
        "status": status,
        "receiver": message.receiver,
        "groupLabels": message.group_labels or {"alertname": message.alertname},
        "commonLabels": _common([line["labels"] for line in alerts]),
        "commonAnnotations": _common([line["annotations"] for line in alerts]),
        "externalURL": settings.PORTAL.public_url,
        "alerts": alerts,
    }


def alert_lines(message: Message) -> list[dict[str, Any]]:
    """Every alert of the message as Alertmanager describes it."""
    if message.alerts:
        return [_line(line) for line in message.alerts]
    status = "resolved" if message.state == "resolved" else "firing"
    annotations = {**message.annotations, "runbook_url": message.runbook_url}
    if message.note:
        annotations["note"] = message.note
    if message.evidence:
        annotations["evidence"] = "\n".join(f"{name}: {text}" for name, text in message.evidence)
    if message.traces:
        annotations["traces"] = " ".join(one.url for one in message.traces)
    return [
        {
            "status": status,
            "labels": {"alertname": message.alertname, "severity": message.severity, **message.labels},
            "annotations": annotations,
            "startsAt": stamp(message.since),
            "endsAt": stamp(message.at) if status == "resolved" else NEVER,
            "generatorURL": message.rule_url,
            "fingerprint": message.fingerprint,
        }
    ]


def _line(line: AlertLine) -> dict[str, Any]:
    return {
        "status": "firing" if line.firing else "resolved",
        "labels": line.labels,
        "annotations": line.annotations,
        "startsAt": stamp(line.since),
        "endsAt": NEVER if line.ended is None else stamp(line.ended),
        "generatorURL": line.rule_url,
        "fingerprint": line.fingerprint,
    }


def _common(maps: list[dict[str, str]]) -> dict[str, str]:
    first, *rest = maps
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}


def stamp(at: dt.datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
