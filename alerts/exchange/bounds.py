"""What of a file the portal has no room for: too many groups or rules, names that are too long, characters that
Postgres cannot keep. Each is a problem that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.exchange.drafts import Drafts, GroupDraft, RuleDraft
from alerts.rulefiles.document import Problem
from core.pg.text import storable

MAX_RULES, MAX_GROUPS, LONGEST_NAME = 5000, 500, 200
SHOWN_NAME = 60


def bounded(drafts: Drafts, file: str) -> Drafts:
    """The drafts without what cannot be kept, and with a problem for each; none of them where they are too many."""
    for what, found, allowed in (("rules", drafts.rules, MAX_RULES), ("groups", drafts.groups, MAX_GROUPS)):
        if len(found) > allowed:
            return Drafts(
                drafts.format, problems=[Problem(file, 1, 1, f"it has {len(found)} {what}, more than {allowed}")]
            )
    groups, problems = [], list(drafts.problems)
    for group in drafts.groups:
        if wrong := _refusal(group):
            problems.append(Problem(file, 1, 1, f'group "{_short(group.name)}": {wrong}'))
        else:
            groups.append(group)
    kept, rules = {group.name for group in groups}, []
    for rule in drafts.rules:
        if rule.group not in kept:
            continue
        if wrong := _refusal(rule):
            problems.append(Problem(file, 1, 1, f'group "{rule.group}", "{_short(rule.name)}": {wrong}'))
        else:
            rules.append(rule)
    return dataclasses.replace(drafts, groups=groups, rules=rules, problems=problems)


def _refusal(draft: GroupDraft | RuleDraft) -> str:
    if len(draft.name) > LONGEST_NAME:
        return f"its name has {len(draft.name)} characters, more than {LONGEST_NAME}"
    if any(storable(text) != text for text in _texts(vars(draft))):
        return "it has a NUL or half of a character, which cannot be kept"
    return ""


def _texts(value: Any) -> Iterator[str]:
    """Every text within."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _short(name: str) -> str:
    name = storable(name)
    return name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}…"
