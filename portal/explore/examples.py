"""Queries to begin with: those of the boards, and what the rules watch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby

from alerts.models import Rule
from alerts.queries import rule_list
from alerts.rules.expression import ExpressionError, check, split
from core.ui.time_range import TimeRange
from portal.explore.descriptions import COMPARED
from usage.boards.declarations import BOARDS, expand


@dataclass(frozen=True)
class Example:
    """A query with the title of the panel that draws it, or of the rule that watches it."""

    title: str
    description: str
    text: str


def examples(time_range: TimeRange, workspaces: Collection[str] | None) -> list[tuple[str, list[Example]]]:
    """By board, then by group those of the rules that are enabled; each query once."""
    window = time_range.rate_window(time_range.step_ms)
    seen: set[str] = set()
    found = []
    for board in BOARDS.values():
        fresh = []
        for panel in board.panels:
            text = expand(panel.queries[-1].expr, window, time_range.window)
            if text not in seen:
                seen.add(text)
                fresh.append(Example(panel.title, panel.description, text))
        if fresh:
            found.append((board.title, fresh))
    for group, rules in groupby(rule_list(workspaces), lambda rule: rule.group.name):
        watched = [one for rule in rules if rule.enabled and (one := of_rule(rule)) and one.text not in seen]
        if watched:
            found.append((f"Rules: {group}", watched))
    return found


def of_rule(rule: Rule) -> Example | None:
    """What a rule compares with its threshold: that has values while all is well too. None where it is no PromQL."""
    try:
        text = check(rule.expr, rule.threshold)
    except ExpressionError:
        return None
    condition = split(text)
    if condition is None:
        return Example(rule.title or rule.name, "fires where it has a series", text)
    limit = rule.threshold_text if rule.threshold is not None else condition.limit
    return Example(rule.title or rule.name, f"fires {COMPARED[condition.operator]} {limit}", condition.measured)
