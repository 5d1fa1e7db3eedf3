"""Patterns of log lines: lines that differ in numbers, ids and quoted words only are one, with how often it came and
what is new about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telemetry.store.reading.logs import Short

MAX_PATTERNS = 40
_PARTS = (
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "‹id›"),
    (re.compile(r"\b(?=[0-9a-zA-Z_-]*[0-9])(?=[0-9a-zA-Z_-]*[a-zA-Z])[0-9a-zA-Z_-]{6,}\b"), "‹id›"),
    (re.compile(r"\"[^\"]{1,200}\"|'[^']{1,200}'"), "‹text›"),
    (re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:[.,:]\d+)*(?:%|[a-zµ]{1,2}\b)?"), "‹n›"),
)
_LITERAL = re.compile(r"(‹\w+›)")
# What stands for a part in Postgres's regular expressions, as wide as all that is folded to it.
_WILD = {
    "‹id›": "[0-9a-zA-Z_-]+",
    "‹text›": "(\"[^\"]*\"|'[^']*')",
    "‹n›": "[-+]?[0-9]+([.,:][0-9]+)*(%|[a-zµ]{1,2})?",
}
LENGTH, CUT = 240, "…"
_SPECIAL = re.compile(r"[\\.^$*+?()\[\]{}|]")


@dataclass(frozen=True)
class Pattern:
    """Lines that are alike: how many in the time looked at and in as long before, the highest severity, and the first
    of them.

    `text` is the line with what varies taken out.
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


def fold(body: str) -> str:
    """A line with what varies taken out: its first one, `CUT` where it is longer than is looked at."""
    text, end, _ = body[:400].partition("\n")
    cut = not end and len(body) >= 400
    for pattern, mark in _PARTS:
        text = pattern.sub(mark, text)
    if len(text) > LENGTH:
        # Not within a placeholder.
        text, cut = re.sub(r"‹\w*$", "", text[:LENGTH]), True
    return text.strip() + (CUT if cut else "")


def regex_of(pattern: str) -> str:
    """A regular expression of Postgres for the lines of a pattern."""
    whole = not pattern.endswith(CUT)
    parts = _LITERAL.split(pattern.removesuffix(CUT))
    found = "".join(_WILD.get(part) or _SPECIAL.sub(r"\\\g<0>", part) for part in parts)
    end = r"\s*($|\n)" if whole else ""
    return rf"^\s*{found}{end}"


def shared_text(pattern: str) -> str:
    """The words that all lines of a pattern have, as a search of its own: an index finds these."""
    whole = pattern.rpartition(" ")[0] if pattern.endswith(CUT) else pattern
    found = re.findall(r"(?<!\S)[^\W\d_]+(?!\S)", whole)
    return " ".join(f'"{one}"' for one in dict.fromkeys(found))


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
