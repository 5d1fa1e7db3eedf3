"""What a file of rules says, whatever its format: groups and rules that could be made
here, and what was not understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alerts.routing.durations import parse_duration
from alerts.rulefiles.document import Problem

# Of groups only Prometheus and vmalert say these.
UNSAID_OF_GROUP = frozenset({"query_offset_seconds", "limit", "labels"})


@dataclass
class GroupDraft:
    """A group as a file has it. `interval_seconds` None: the file does not say; in a format with
    `interval_step` it is a multiple of that.

    `unsaid` are fields for which the format has no word: what the portal has stays.
    """

    name: str
    interval_seconds: int | None = None
    query_offset_seconds: int = 0
    limit: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    interval_step: int = 1
    unsaid: frozenset[str] = frozenset()


@dataclass
class RuleDraft:
    """A rule as a file has it. `name` is the label alertname, or the metric of one that records (`is_recording`).

    `labels` hold severity as any other label. `unsaid` are fields for which the format has no word: what the portal has
    stays. `nodes` are Grafana's queries and expressions, of which `expr` was made. `enabled` None: the format does not
    say. `origin` is what the file says and the portal has no use for, kept so that an export says it again.
    `judged` is what the file says of recovery, missing data and errors, and of folder, owner and team, by the rule's
    fields.
    """

    group: str
    name: str
    expr: str
    is_recording: bool = False
    threshold: float | None = None
    for_seconds: int = 0
    keep_firing_seconds: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    enabled: bool | None = None
    channel_kinds: tuple[str, ...] = ()
    origin: dict[str, Any] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)
    unsaid: frozenset[str] = frozenset()
    judged: dict[str, Any] = field(default_factory=dict)


@dataclass
class Drafts:
    """A file that was read. `format` is prometheus, vmalert, grafana or simple; `problems` are what
    was not understood, each with its place."""

    format: str
    groups: list[GroupDraft] = field(default_factory=list)
    rules: list[RuleDraft] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def whole_seconds(text: str | None, what: str) -> int:
    """A duration of a file as seconds; ValueError where it is none, or not a whole number of them."""
    if text is None or text == "":
        return 0
    milliseconds = round(parse_duration(text).total_seconds() * 1000)
    if milliseconds % 1000:
        raise ValueError(f"{what}: {text} is not a whole number of seconds")
    return milliseconds // 1000
