"""Patterns of log lines: lines that differ in numbers, ids and quoted words only are one, with how often it came and
what is new about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telemetry.store.logs import Short

MAX_PATTERNS = 40
_PARTS = (
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "‹id›"),
    (re.compile(r"\b(?=[0-9a-zA-Z_-]*[0-9])(?=[0-9a-zA-Z_-]*[a-zA-Z])[0-9a-zA-Z_-]{6,}\b"), "‹id›"),
    (re.compile(r"\"[^\"]{1,200}\"|'[^']{1,200}'"), "‹text›"),
    (re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:[.,:]\d+)*(?:%|[a-zµ]{1,2}\b)?"), "‹n›"),
)
_LITERAL = re.compile(r"‹\w+›")


@dataclass(frozen=True)
class Pattern:
    """Lines that are alike: how many in the time looked at and in as long before, the highest severity, and the first
    of them.

    `phrase` is what they have in common that a search can find them by.
    """

    text: str
    lines: int
    before: int
    share: float
    severity: int
    first: datetime

    @property
    def is_new(self) -> bool:
        """Whether none came before."""
        return self.before == 0

    @property
    def more(self) -> float:
        """How many times more often than before; 0 where that is not telling."""
        times = self.lines / self.before if self.before else 0.0
        return times if times >= 2 and self.lines >= 5 else 0.0

    @property
    def level(self) -> str:
        """Its state, for the colour of its bar."""
        return "critical" if self.severity >= 17 else "warning" if self.severity >= 13 else "quiet"

    @property
    def phrase(self) -> str:
        """The longest stretch without a placeholder, as a phrase to search for."""
        return max((part.strip(" .,:;=()[]{}\"'") for part in _LITERAL.split(self.text)), key=len, default="")


def fold(body: str) -> str:
    """A line with what varies taken out."""
    text = body[:400].split("\n", 1)[0]
    for pattern, mark in _PARTS:
        text = pattern.sub(mark, text)
    return text


def patterns_of(lines: Sequence[Short], before: Sequence[Short]) -> list[Pattern]:
    """The patterns of lines, the most frequent first, against the lines of as long a time before."""
    earlier: dict[str, int] = {}
    for line in before:
        text = fold(line.body)
        earlier[text] = earlier.get(text, 0) + line.lines
    found: dict[str, list[Short]] = {}
    for line in lines:
        found.setdefault(fold(line.body), []).append(line)
    counts = {text: sum(line.lines for line in group) for text, group in found.items()}
    largest = max(counts.values(), default=1)
    patterns = [
        Pattern(
            text,
            counts[text],
            earlier.get(text, 0),
            100 * counts[text] / largest,
            max(line.severity for line in group),
            min(line.first for line in group),
        )
        for text, group in found.items()
    ]
    return sorted(patterns, key=lambda one: (-one.lines, one.text))[:MAX_PATTERNS]
