"""Queries to begin with: those of the boards."""

from __future__ import annotations

from dataclasses import dataclass

from usage.dashboards import BOARDS, expand
from usage.ranges import TimeRange


@dataclass(frozen=True)
class Example:
    """A query with the title of the panel that draws it."""

    title: str
    says: str
    text: str


def examples(time_range: TimeRange) -> list[tuple[str, list[Example]]]:
    """By board; each query once."""
    window = time_range.rate_window(time_range.step_ms)
    seen: set[str] = set()
    found = []
    for board in BOARDS.values():
        fresh = []
        for panel in board.panels:
            text = expand(panel.queries[-1].expr, window, time_range.window)
            if text not in seen:
                seen.add(text)
                fresh.append(Example(panel.title, panel.says, text))
        if fresh:
            found.append((board.title, fresh))
    return found
