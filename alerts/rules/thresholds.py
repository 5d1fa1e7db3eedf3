"""Thresholds of some label sets, so that nobody copies a rule for one customer: a table in the rule, read from the
top."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.models import Rule, Severity
from alerts.routing.matchers import MatcherError, Matchers, parse_matchers
from alerts.rules.expression import ExpressionError

MAX_ROWS = 200
FIELDS = ("match", "threshold", "recovery_threshold", "for_seconds", "severity", "channels")


@dataclass(frozen=True)
class Bound:
    """What a label set of the result is judged by, and who is notified. Without matchers it is the rule's own."""

    threshold: float | None
    recovery: float | None = None
    for_seconds: int = 0
    severity: str = Severity.WARNING
    channels: tuple[str, ...] = ()
    matchers: Matchers = ()

    @property
    def last(self) -> float | None:
        """The furthest value at which an alert still fires."""
        return self.threshold if self.recovery is None else self.recovery


def own_bound(rule: Rule) -> Bound:
    """What the rule itself says."""
    return Bound(rule.threshold, rule.recovery_threshold, rule.for_seconds, rule.severity)


def bounds_of(rule: Rule) -> tuple[Bound, tuple[Bound, ...]]:
    """The rule's own bound, and those of its table in their order. Raises ExpressionError, about `thresholds`."""
    own = own_bound(rule)
    return own, tuple(_bound(place, row, own) for place, row in enumerate(rule.thresholds, start=1))


def _bound(place: int, row: Mapping[str, Any], own: Bound) -> Bound:
    try:
        matchers = parse_matchers(str(row["match"]))
        if not matchers:
            raise MatcherError("needs at least one matcher")
    except MatcherError as error:
        raise ExpressionError(f"row {place}: {error}", "thresholds") from None
    return Bound(
        threshold=float(row["threshold"]),
        recovery=None if row.get("recovery_threshold") is None else float(row["recovery_threshold"]),
        for_seconds=row.get("for_seconds", own.for_seconds),
        severity=row.get("severity") or own.severity,
        channels=tuple(row.get("channels", ())),
        matchers=matchers,
    )


def rows_problem(rows: Any) -> str:
    """What is wrong with the form of a table; empty where nothing is. Matchers are read by `bounds_of`."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "must be a list of rows"
    if len(rows) > MAX_ROWS:
        return f"has more than {MAX_ROWS} rows"
    return next((f"row {place}: {problem}" for place, row in enumerate(rows, 1) if (problem := _row_problem(row))), "")


def _row_problem(row: Mapping[str, Any]) -> str:
    if unknown := sorted(set(row) - set(FIELDS)):
        return f"no such field: {', '.join(unknown)}"
    if not isinstance(row.get("match"), str):
        return "match is missing"
    for name in ("threshold", "recovery_threshold"):
        if not (_is_number(row[name]) if name in row else name != "threshold"):
            return f"{name} must be a number"
    seconds = row.get("for_seconds", 0)
    if not isinstance(seconds, int) or not 0 <= seconds <= 30 * 86400:
        return "for_seconds must be between 0 and 30 days"
    if row.get("severity", Severity.WARNING) not in Severity.values:
        return f"severity must be one of {', '.join(Severity.values)}"
    channels = row.get("channels", [])
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        return "channels must be names"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def channel_names(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Every channel that a table names."""
    return {name for row in rows for name in row.get("channels", ())}
