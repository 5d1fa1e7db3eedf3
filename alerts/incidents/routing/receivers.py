"""Alertmanager's receivers as channels, and channels as its receivers: one entry per integration, both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alerts.models import Channel

MASK = "<secret>"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Integration:
    """A kind of entry: `configure` makes the configuration of a channel of `kind` from it and the file's global
    settings, `write` an entry from a channel's configuration. `send_resolved` is what holds where the entry is
    silent."""

    kind: Channel.Kind
    send_resolved: bool
    configure: Callable[[Entry, Entry], dict[str, Any]]
    write: Callable[[dict[str, Any]], Entry] | None = None


def _token(entry: Entry) -> str:
    """The bearer token of an entry's HTTP settings."""
    http = entry.get("http_config") or {}
    found = http.get("bearer_token") or (http.get("authorization") or {}).get("credentials") or ""
    return str(found)


def _authorization(config: dict[str, Any]) -> Entry:
    return {"http_config": {"authorization": {"credentials": config["token"]}}} if config.get("token") else {}


def _api(default: str, *suffixes: str) -> Callable[[str], str]:
    """An API's base address, without the path that Alertmanager's field has; empty for the service's own."""

    def base(url: str) -> str:
        for suffix in suffixes:
            url = url.rstrip("/").removesuffix(suffix)
        return "" if url.rstrip("/") == default else url.rstrip("/")

    return base


OPSGENIE = _api("https://api.opsgenie.com")
TELEGRAM = _api("https://api.telegram.org")


def _slack(entry: Entry, settings: Entry) -> dict[str, Any]:
    return {"url": entry.get("api_url") or settings.get("slack_api_url") or ""}


def _pagerduty(entry: Entry, settings: Entry) -> dict[str, Any]:
    key = entry.get("routing_key") or entry.get("service_key") or ""
    return {"routing_key": key, "url": entry.get("url") or settings.get("pagerduty_url") or ""}


def _opsgenie(entry: Entry, settings: Entry) -> dict[str, Any]:
    url = entry.get("api_url") or settings.get("opsgenie_api_url") or ""
    return {"api_key": entry.get("api_key") or settings.get("opsgenie_api_key") or "", "url": OPSGENIE(str(url))}


def _telegram(entry: Entry, settings: Entry) -> dict[str, Any]:
    url = entry.get("api_url") or settings.get("telegram_api_url") or ""
    token = entry.get("bot_token") or settings.get("telegram_bot_token") or ""
    return {"token": token, "chat_id": str(entry.get("chat_id") or ""), "url": TELEGRAM(str(url))}


def _chat_id(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text


INTEGRATIONS: dict[str, Integration] = {
    "webhook_configs": Integration(
        Channel.Kind.WEBHOOK,
        True,
        lambda entry, _: {"url": entry.get("url") or "", "token": _token(entry)},
        lambda config: {"url": config["url"], **_authorization(config)},
    ),
    "slack_configs": Integration(Channel.Kind.SLACK, False, _slack, lambda config: {"api_url": config["url"]}),
    "email_configs": Integration(
        Channel.Kind.EMAIL,
        False,
        lambda entry, _: {"to": entry.get("to") or ""},
        lambda config: {"to": ", ".join(config["to"])},
    ),
    "pagerduty_configs": Integration(
        Channel.Kind.PAGERDUTY,
        True,
        _pagerduty,
        lambda config: {"routing_key": config["routing_key"], "url": config["url"]},
    ),
    "opsgenie_configs": Integration(
        Channel.Kind.OPSGENIE,
        True,
        _opsgenie,
        lambda config: {"api_key": config["api_key"], "api_url": config["url"]},
    ),
    "telegram_configs": Integration(
        Channel.Kind.TELEGRAM,
        True,
        _telegram,
        lambda config: {
            "bot_token": config["token"],
            "chat_id": _chat_id(config["chat_id"]),
            "api_url": config["url"],
        },
    ),
    "discord_configs": Integration(
        Channel.Kind.DISCORD,
        True,
        lambda entry, _: {"url": entry.get("webhook_url") or ""},
        lambda config: {"webhook_url": config["url"]},
    ),
    "msteams_configs": Integration(Channel.Kind.TEAMS, True, lambda entry, _: {"url": entry.get("webhook_url") or ""}),
    "msteamsv2_configs": Integration(
        Channel.Kind.TEAMS,
        True,
        lambda entry, _: {"url": entry.get("webhook_url") or ""},
        lambda config: {"webhook_url": config["url"]},
    ),
}
BY_KIND = {integration.kind: name for name, integration in INTEGRATIONS.items() if integration.write is not None}
SECRETS = {"url", "api_url", "webhook_url", "routing_key", "api_key", "bot_token", "credentials"}


def write_entry(channel: Channel, config: dict[str, Any], *, secrets: bool) -> tuple[str, Entry] | None:
    """The receiver's entry that stands for a channel; None where Alertmanager has no such receiver. Without `secrets`
    they read `<secret>`."""
    name = BY_KIND.get(Channel.Kind(channel.kind))
    write = INTEGRATIONS[name].write if name else None
    if name is None or write is None:
        return None
    entry = {**write(config), "send_resolved": channel.send_resolved}
    return name, entry if secrets else _masked(entry)


def _masked(entry: Entry) -> Entry:
    found: Entry = {}
    for name, value in entry.items():
        if isinstance(value, dict):
            found[name] = _masked(value)
        else:
            found[name] = MASK if name in SECRETS else value
    return found
