"""Label sets and the matchers that choose series by them."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

import re2

Labels = dict[str, str]
LabelKey = frozenset[tuple[str, str]]

METRIC_NAME = "__name__"
METADATA = (METRIC_NAME, "__type__", "__unit__")
"""The labels that describe a series' metric: its name and, where a source keeps them, type and unit. Functions and
operators drop them."""
# Entries kept for one list: a rule adds a handful, and some thousand rules may watch one metric.
MAX_DERIVED = 4_000
_MISSING = object()

T = TypeVar("T")


class LabelSets(list[Labels]):
    """The label sets of a block's series, none of which ever changes, with what has been derived from them.

    A source that returns the same object again, as long as its series have not changed, spares the engine work that
    depends on labels alone: groups, matches and histograms are looked up in `derived`.
    """

    def __init__(self, labels: Iterable[Labels]) -> None:
        super().__init__(labels)
        self.derived: dict[Hashable, object] = {}


def derive(labels: list[Labels], key: Hashable, make: Callable[[], T]) -> T:
    """The result of `make`, which must depend on the labels alone: computed once per key where they are LabelSets, else
    each time."""
    if not isinstance(labels, LabelSets):
        return make()
    # Threads share LabelSets, and another one may clear them at any time.
    known = labels.derived.get(key, _MISSING)
    if known is not _MISSING:
        return cast(T, known)
    if len(labels.derived) >= MAX_DERIVED:
        labels.derived.clear()
    labels.derived[key] = result = make()
    return result


def label_key(labels: Labels) -> LabelKey:
    """The label set as a value that can be compared and hashed."""
    return frozenset(labels.items())


def label_order(labels: Labels) -> list[tuple[str, str]]:
    """The sort key of a label set."""
    return sorted(labels.items())


def without_name(labels: Labels) -> Labels:
    return drop_labels(labels, METADATA)


def without_names(labels: list[Labels]) -> list[Labels]:
    return derive(labels, "without names", lambda: LabelSets(without_name(row) for row in labels))


def of_one_metric(labels: list[Labels]) -> bool:
    """Whether all have the same metadata labels, so that no two become equal without them."""
    return derive(labels, "metrics", lambda: len({tuple(map(row.get, METADATA)) for row in labels})) == 1


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
