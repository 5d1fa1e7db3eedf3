"""Label sets and the matchers that choose series by them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import re2

Labels = dict[str, str]
LabelKey = frozenset[tuple[str, str]]

METRIC_NAME = "__name__"


def label_key(labels: Labels) -> LabelKey:
    """The label set as a value that can be compared and hashed."""
    return frozenset(labels.items())


def label_order(labels: Labels) -> list[tuple[str, str]]:
    """The place of the label set among others when sorted."""
    return sorted(labels.items())


def without_name(labels: Labels) -> Labels:
    kept = labels.copy()
    kept.pop(METRIC_NAME, None)
    return kept


def keep_labels(labels: Labels, names: Iterable[str]) -> Labels:
    return {name: labels[name] for name in names if name in labels}


def drop_labels(labels: Labels, names: Iterable[str]) -> Labels:
    kept = labels.copy()
    for name in names:
        kept.pop(name, None)
    return kept


@lru_cache(maxsize=1024)
def compile_anchored(pattern: str) -> Any:
    """RE2 of the whole value, with `.` matching newlines, as Prometheus does. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(f"^(?s:{pattern})$", options)


@dataclass(frozen=True)
class Matcher:
    """`name op value`, op one of =, !=, =~, !~. A label that is not there has the value ""."""

    name: str
    op: str
    value: str

    @cached_property
    def _regex(self) -> Any:
        return compile_anchored(self.value)

    def matches(self, value: str) -> bool:
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        found = self._regex.search(value) is not None
        return found if self.op == "=~" else not found


def matches_all(labels: Labels, matchers: Sequence[Matcher]) -> bool:
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)
