"""4 store, before label sets are interned: the rules of labels, applied to each label set that a process meets for the
first time, so that they cost a batch nothing.

Every process reads the rules again every few seconds; where they changed, it forgets which label set had which id.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.process_cache import forgets
from promql.labels import compile_anchored
from usage.catalog import KINDS
from usage.records.columns import DimensionKey
from usage.relabelling.models import LabelRule

REREAD_SECONDS = 5.0
_GROUP = re.compile(r"\$(?:(\d+)|\{(\w+)\}|(\w+)|(\$))")


@dataclass(frozen=True)
class Relabel:
    """A rule, ready to be applied; `workspace` is a slug, None for all."""

    workspace: str | None
    kind: str
    label: str
    regex: str
    action: str
    replacement: str
    keep: int
    separator: str

    @classmethod
    def of(cls, rule: LabelRule) -> Relabel:
        """A rule as it is kept."""
        workspace = rule.workspace.slug if rule.workspace else None
        given = (rule.kind, rule.label, rule.regex, rule.action, rule.replacement, rule.keep, rule.separator)
        return cls(workspace, *given)

    @cached_property
    def _pattern(self) -> Any:
        return compile_anchored(self.regex)

    @cached_property
    def place(self) -> int:
        """Where the label stands in a key."""
        return 1 + KINDS[self.kind].labels.index(self.label)

    def value(self, value: str) -> str:
        """What becomes of a value; "" drops the label."""
        match = self._pattern.search(value) if value else None
        if match is None:
            return value
        if self.action == LabelRule.CHARACTERS:
            return value[: self.keep]
        if self.action == LabelRule.SEGMENTS:
            return self.separator.join(value.split(self.separator)[: self.keep])
        return "" if self.action == LabelRule.DROP else self._replaced(match)

    def _replaced(self, match: Any) -> str:
        def group(found: re.Match[str]) -> str:
            number, braced, bare, dollar = found.groups()
            if dollar:
                return "$"
            name = number or braced or bare
            try:
                return match.group(int(name) if name.isdigit() else name) or ""
            except (IndexError, KeyError):
                return ""  # a group that the pattern has not, as in Prometheus

        return _GROUP.sub(group, self.replacement)[:200]

    def key(self, key: DimensionKey) -> DimensionKey:
        """A label set under the rule."""
        if key[0] != self.kind or self.workspace not in (None, key[1]):
            return key
        value = self.value(key[self.place])
        return key if value == key[self.place] else (*key[: self.place], value, *key[self.place + 1 :])


def relabelled(key: DimensionKey, rules: Iterable[Relabel]) -> DimensionKey:
    """A label set under rules, one after the other."""
    for rule in rules:
        key = rule.key(key)
    return key


class Rules:
    """The rules in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: tuple[Relabel, ...] = ()
        self._read_at = float("-inf")
        forgets(self.forget)

    def forget(self) -> None:
        """Read them again at the next call."""
        self._read_at = float("-inf")

    def current(self) -> Sequence[Relabel]:
        """As they were some seconds ago at the latest."""
        with self._lock:
            if time.monotonic() - self._read_at > REREAD_SECONDS:
                self._rules = tuple(map(Relabel.of, LabelRule.objects.select_related("workspace").order_by("id")))
                self._read_at = time.monotonic()
            return self._rules


rules = Rules()
