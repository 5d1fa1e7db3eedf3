"""Inhibition: a firing alert mutes others. Source: prometheus/alertmanager `inhibit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alerts.routing.matchers import Matchers, all_match

Labels = Mapping[str, str]


@dataclass(frozen=True)
class InhibitRule:
    """While an alert that matches `source` fires, those that match `target` and have the same values of the labels
    `equal` are muted.

    A label that is missing equals an empty one. An alert that matches both sides is not inhibited by another that does.
    """

    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()


class Inhibitor:
    """The inhibiting alerts of a moment: `firing` are all alerts that fire then, by their fingerprint."""

    def __init__(self, rules: Iterable[InhibitRule], firing: Iterable[tuple[str, Labels]]) -> None:
        self.rules = tuple(rules)
        self._sources: list[dict[tuple[str, ...], list[tuple[str, bool]]]] = [{} for _ in self.rules]
        for fingerprint, labels in firing:
            for rule, sources in zip(self.rules, self._sources, strict=True):
                if all_match(rule.source, labels):
                    both = all_match(rule.target, labels)
                    sources.setdefault(_values(rule, labels), []).append((fingerprint, both))

    def inhibited_by(self, labels: Labels) -> str | None:
        """The fingerprint of an alert that inhibits these labels; None where none does."""
        for rule, sources in zip(self.rules, self._sources, strict=True):
            if not all_match(rule.target, labels):
                continue
            is_source = all_match(rule.source, labels)
            for fingerprint, both in sources.get(_values(rule, labels), ()):
                if not (is_source and both):
                    return fingerprint
        return None


def _values(rule: InhibitRule, labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
