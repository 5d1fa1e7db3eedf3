"""A message as plain text, for the services that show little else."""

from __future__ import annotations

import re

from alerts.notify.transports.contract import Message

ACT = "Acknowledge or snooze"
# What the services' markups may take for the end of a link's text.
_PUNCTUATION = re.compile(r"[^\w .,:/$–-]+")


def headline(message: Message) -> str:
    """State or severity, then the title, on one line."""
    title = " ".join(message.title.split()) or message.alertname or "Alert without a name"
    if message.state == "resolved":
        return f"Resolved: {title}"
    return title if message.is_plain else f"{message.severity.capitalize()}: {title}"


def facts(message: Message) -> list[tuple[str, str]]:
    """Value, threshold, times and labels, as name and text; empty ones are left out."""
    if message.is_plain:
        return []
    found = [
        ("Value", message.value),
        ("Threshold", message.threshold),
        ("Firing since", f"{message.since:%Y-%m-%d %H:%M:%S} UTC"),
        ("Resolved at", f"{message.at:%Y-%m-%d %H:%M:%S} UTC" if message.state == "resolved" else ""),
        *message.labels.items(),
        *message.evidence,
    ]
    return [(name, text) for name, text in found if text]


def links(message: Message) -> list[tuple[str, str]]:
    """Where to look: a word and its URL."""
    if message.is_plain:
        return [(message.place, message.alert_url)]
    found = [
        ("Alert", message.alert_url),
        (ACT, message.act_url),
        ("Chart and rule", message.rule_url),
        ("Runbook", message.runbook_url),
    ]
    found += [(_PUNCTUATION.sub(" ", one.text), one.url) for one in message.traces]
    return [(word, url) for word, url in found if url]


def body(message: Message) -> str:
    """Everything below the headline."""
    traces = "\n".join(["Traces that show it:", *(f"{one.text} {one.url}" for one in message.traces)])
    parts = [
        message.description.strip(),
        "\n".join(f"{name}: {text}" for name, text in facts(message)),
        message.note,
        traces if message.traces else "",
    ]
    return "\n\n".join(part for part in parts if part)


def cut(text: str, limit: int) -> str:
    """The text, shortened to a service's limit."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
