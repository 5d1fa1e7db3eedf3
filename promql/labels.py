"""Label sets and the matchers that choose series by them."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

import re2

Labels = dict[str, str]
LabelKey = frozenset[tuple[str, str]]

METRIC_NAME = "__name__"
# What is remembered of one list: a rule makes a handful of entries, and some thousand rules may watch one metric.
_MOST_MADE = 4_000

T = TypeVar("T")


class LabelSets(list[Labels]):
    """The label sets of a block's series, of which none ever changes, and what was made of them.

    A source that answers with the same object again (series have not changed since) spares the engine all work on labels that it
    has done before: groups, matches and histograms are then looked up.
    """

    def __init__(self, labels: Iterable[Labels]) -> None:
        super().__init__(labels)
        self.made: dict[Hashable, object] = {}


def derive(labels: list[Labels], key: Hashable, make: Callable[[], T]) -> T:
    """What `make` makes of labels and nothing else: once per key where they are LabelSets, else each time."""
    if not isinstance(labels, LabelSets):
        return make()
    if key not in labels.made:
        if len(labels.made) >= _MOST_MADE:
            labels.made.clear()
        labels.made[key] = made = make()
        return made
    return cast(T, labels.made[key])


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


def without_names(labels: list[Labels]) -> list[Labels]:
    return derive(labels, "without names", lambda: LabelSets(without_name(row) for row in labels))


def metric_names(labels: list[Labels]) -> list[str]:
    """The metrics' names among them, each once; "" for none."""
    return derive(labels, "names", lambda: list(dict.fromkeys(row.get(METRIC_NAME, "") for row in labels)))


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
