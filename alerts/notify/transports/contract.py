"""What every transport agrees on: `notify(message, config)` returns what the other side
said, or raises `DeliveryError`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol


class DeliveryError(Exception):
    """A message that did not arrive. `retry`: whether trying again can help; `after`: the
    seconds that the other side asks to wait.

    The text never holds a secret of the channel. `reply` is what the other side said, if anything.
    """

    def __init__(self, text: str, *, retry: bool, after: float | None = None, reply: str = "") -> None:
        super().__init__(text)
        self.retry = retry
        self.after = after
        self.reply = reply


class Reply(str):
    """What the other side said, with its name for the message, to which later messages of the incident can refer."""

    reference: str

    def __new__(cls, text: str, reference: str) -> Reply:
        """The text, and the name beside it."""
        reply = super().__new__(cls, text)
        reply.reference = reference
        return reply


class ConfigInvalid(ValueError):
    """A configuration that a transport does not take. `errors` maps the field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


@dataclass(frozen=True)
class Field:
    """One field of a transport's configuration, as a form asks for it."""

    name: str
    label: str
    help: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class AlertLine:
    """One alert of a message that tells of several. `ended` is None while it fires."""

    firing: bool
    labels: dict[str, str]
    annotations: dict[str, str]
    since: dt.datetime
    ended: dt.datetime | None
    rule_url: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class TraceLine:
    """An execution that shows the fault: what it was, in one line, and the absolute address of its page."""

    text: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """One flip as a notification. `state` is firing or resolved, or test or notice, which are about no alert and have
    but a title, a description and a link. Times are aware; links are absolute or empty.

    `evidence` are lines of name and text: who is behind it, what was changed before, when it fired before. `picture` is
    its chart as a PNG, or empty. `act_url` is where its reader may acknowledge or snooze, `act_token` what a button
    sends for that.
    """

    state: str
    severity: str
    title: str
    alertname: str
    description: str
    labels: dict[str, str]
    annotations: dict[str, str]
    value: str
    threshold: str
    since: dt.datetime
    at: dt.datetime
    note: str
    rule_url: str
    alert_url: str
    runbook_url: str
    runbook_title: str
    fingerprint: str
    key: str
    thread: str = ""
    group_key: str = ""
    group_labels: dict[str, str] = field(default_factory=dict)
    receiver: str = "llm-usage-portal"
    alerts: tuple[AlertLine, ...] = ()
    left_out: int = 0
    traces: tuple[TraceLine, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    picture: bytes = field(default=b"", repr=False)
    reference: str = ""
    act_url: str = ""
    act_token: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is about no alert."""
        return self.state in ("test", "notice")

    @property
    def place(self) -> str:
        """What the page is called that a message about no alert leads to."""
        return "Silences" if self.state == "notice" else "Channels"


class Transport(Protocol):
    """A module of this package."""

    FIELDS: tuple[Field, ...]

    def parse_config(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The configuration, checked; ConfigInvalid otherwise."""

    def target(self, config: dict[str, Any]) -> str:
        """Where it goes, without any secret."""

    def notify(self, message: Message, config: dict[str, Any]) -> str:
        """Send; the other side's reply. DeliveryError when it did not arrive."""
