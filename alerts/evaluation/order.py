"""8 alert rules, in which order: groups that record come before those that read it, and
slow groups after the others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import promql
from alerts.models import Rule
from alerts.rules.expression import ExpressionError
from alerts.rules.expression import expand as fill_threshold
from promql.labels import METRIC_NAME

# A group that took longer (s) at its last evaluation comes last in a tick, and is
# written apart, so that it delays no other.
SLOW_SECONDS = 1.0


@dataclass
class Reads:
    """The metrics that a query names, and whether a selector of it may mean others too."""

    names: set[str] = field(default_factory=set)
    has_pattern: bool = False

    def any_of(self, metrics: set[str]) -> bool:
        """Whether it may read one of the metrics."""
        return bool(metrics) and (self.has_pattern or not metrics.isdisjoint(self.names))


def reads_of(expr: str, threshold: float | None) -> Reads:
    """What an expression reads; nothing where it is none."""
    found = Reads()
    with suppress(ExpressionError, promql.PromQLError):
        for matchers, _ in promql.parse(fill_threshold(expr, threshold)).selectors:
            names = [one.value for one in matchers if one.name == METRIC_NAME and one.op == "="]
            found.names.update(names)
            found.has_pattern |= not names
    return found


def is_slow(seconds: float | None) -> bool:
    """Whether a group is slow, by the duration of its last evaluation."""
    return seconds is not None and seconds > SLOW_SECONDS


def in_order(groups: Sequence[tuple[int, float | None]]) -> list[int]:
    """Ids of groups, given with the seconds of their last evaluation, in the order in which a tick evaluates them."""
    ordered = sorted(groups, key=lambda group: is_slow(group[1]))
    ids = [group_id for group_id, _ in ordered]
    rules = Rule.objects.filter(group__in=ids, enabled=True)
    recorded_by: dict[str, set[int]] = {}
    for group_id, metric in rules.exclude(record="").values_list("group_id", "record"):
        recorded_by.setdefault(metric, set()).add(group_id)
    if not recorded_by:
        return ids
    metrics = set(recorded_by)
    needs: dict[int, set[int]] = {group_id: set() for group_id in ids}
    for group_id, expr, threshold in rules.values_list("group_id", "expr", "threshold"):
        found = reads_of(expr, threshold)
        # A pattern that may mean anything is no reason to wait for every group that records.
        for metric in metrics & found.names:
            needs[group_id] |= recorded_by[metric]
    return _needed_first(ids, needs)


def is_in_sequence(rules: Sequence[Rule]) -> bool:
    """Whether a rule of the group reads what it or a later one records: then each slot needs all of the one before."""
    later: set[str] = set()
    for rule in reversed(rules):
        if rule.record and rule.enabled:
            later.add(rule.record)
        if later and reads_of(rule.expr, rule.threshold).any_of(later):
            return True
    return False


def _needed_first(ids: Sequence[int], needs: dict[int, set[int]]) -> list[int]:
    """The ids in their order, each after those that it needs; in a circle, the first one of it comes first."""
    found: dict[int, None] = {}
    entered: set[int] = set()
    waiting = [(group_id, False) for group_id in reversed(ids)]
    while waiting:
        group_id, is_left = waiting.pop()
        if is_left:
            found[group_id] = None
        elif group_id not in entered:
            entered.add(group_id)
            waiting.append((group_id, True))
            waiting += [(needed, False) for needed in sorted(needs[group_id], reverse=True)]
    return list(found)
