"""How a rule judges what it measures: the query that is asked, and which samples of its result begin an alert or only
keep one that fires.

The evaluation and what a rule would have done (`alerts.evaluation`) both ask here, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

import promql
from alerts.models import Rule, WithoutData
from alerts.routing.matchers import all_match
from alerts.rules.expression import PLACEHOLDER, ExpressionError, expand, split
from alerts.rules.thresholds import Bound, bounds_of
from promql.parser.condition import constant
from promql.parser.printer import format_matching
from promql.syntax import Aggregate, Binary, Call, Node, Paren, unwrap
from promql.values import Bools, Floats, Ints

COMPARED: dict[str, Callable[[Floats, Floats], Bools]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
# The fields of a rule by which it judges.
JUDGED = (
    "expr",
    "threshold",
    "for_seconds",
    "keep_firing_seconds",
    "recovery_threshold",
    "min_events",
    "no_data",
    "flap_limit",
    "thresholds",
)
# A threshold that no query has by itself, to find the place where it stands.
STAND_IN = 1234567890.0


@dataclass(frozen=True)
class Verdict:
    """What a result means: by which bound each of its label sets is judged, and [label set, time] whether a sample
    begins an alert, and whether it keeps one that fires."""

    bounds: list[Bound]
    begins: Bools
    keeps: Bools

    @property
    def for_seconds(self) -> Ints:
        """How long the condition of each label set must hold."""
        return np.array([bound.for_seconds for bound in self.bounds], dtype=np.int64)


@dataclass(frozen=True)
class Judge:
    """`query` is what is asked at a slot; `measured` is the measured side of its condition, asked where it matters
    that there is no data. `own` is the rule's bound, `bounds` those of some label sets.

    With an `operator` the query's result reaches to the furthest threshold or recovery; without one it is judged."""

    query: str
    own: Bound
    bounds: tuple[Bound, ...] = ()
    measured: str = ""
    operator: str = ""

    def bound_of(self, labels: Mapping[str, str]) -> Bound:
        """The first bound that matches a label set of the result."""
        return next((bound for bound in self.bounds if all_match(bound.matchers, labels)), self.own)

    def judge(self, result: promql.Result) -> Verdict:
        """What a result of the query means."""
        bounds = [self.bound_of(labels) for labels in result.labels]
        if not self.operator:
            return Verdict(bounds, result.present, np.zeros_like(result.present))
        compare = COMPARED[self.operator]
        thresholds = np.array([bound.threshold for bound in bounds], dtype=float)[:, np.newaxis]
        recoveries = np.array([bound.last for bound in bounds], dtype=float)[:, np.newaxis]
        begins = result.present & compare(result.values, thresholds)
        return Verdict(bounds, begins, result.present & compare(result.values, recoveries) & ~begins)


def judge_of(rule: Rule) -> Judge:
    """How the rule judges. Raises ExpressionError or promql.PromQLError."""
    own, bounds = bounds_of(rule)
    plain = asked = expand(rule.expr, rule.threshold)
    operator = ""
    if bounds or rule.recovery_threshold is not None:
        operator = operator_of(rule.expr, "thresholds" if bounds else "recovery_threshold")
        furthest = min if operator.startswith(">") else max
        asked = expand(rule.expr, furthest(bound.last for bound in (own, *bounds) if bound.last is not None))
    if rule.min_events:
        asked = with_least_events(asked, rule.min_events)
    judge = Judge(asked, own, bounds, operator=operator)
    if rule.no_data != WithoutData.OK:
        comparison = split(plain)
        if comparison is None:
            raise ExpressionError("needs a query that compares what it measures with something", "no_data")
        judge = replace(judge, measured=comparison.measured)
    return judge


def operator_of(expr: str, field: str) -> str:
    """How the query compares what it measures with `$threshold`, whose only place that is. ExpressionError, about the
    field, where it does not."""
    found = split(expand(expr, STAND_IN)) if expr.count(PLACEHOLDER) == 1 else None
    if found is None or found.number != STAND_IN or found.operator not in COMPARED or found.is_bool:
        raise ExpressionError(f"needs a query of the form … > {PLACEHOLDER} (or >=, <, <=)", field)
    return found.operator


def check_judgement(rule: Rule) -> None:
    """ExpressionError unless what the rule says of recovery, events and missing data fits its query, which can be
    parsed."""
    if rule.threshold is None:
        for field in ("recovery_threshold", "thresholds"):
            if getattr(rule, field):
                raise ExpressionError("belongs to a threshold", field)
    judge = judge_of(rule)
    is_upper = judge.operator.startswith(">")
    for place, bound in enumerate((judge.own, *judge.bounds)):
        if bound.recovery is None or bound.threshold is None:
            continue
        if not (bound.recovery < bound.threshold if is_upper else bound.recovery > bound.threshold):
            where = f"row {place}: the recovery threshold " if place else ""
            text = f"{where}must be {'below' if is_upper else 'above'} the threshold"
            raise ExpressionError(text, "thresholds" if place else "recovery_threshold")


def with_least_events(expr: str, least: float) -> str:
    """The condition of a ratio, demanding that its divisor counted at least so many events. Raises ExpressionError
    where it is no such ratio."""
    condition = promql.split_condition(promql.parse(expr).expr)
    ratio = _ratio(condition.comparison.left) if condition is not None else None
    events = _counted(ratio.right) if ratio is not None else None
    if ratio is None or events is None:
        raise ExpressionError("needs a ratio whose divisor is a rate() or an increase()", "min_events")
    matching = format_matching(replace(ratio.matching, card="one-to-one", include=(), fill_left=None, fill_right=None))
    # The line breaks end a comment of the expression.
    return f"(\n{expr}\n) and{matching} ({promql.format_node(events)} >= {least:.15g})"


def _ratio(node: Node) -> Binary | None:
    """The division that a measured side is, also of a multiple of it."""
    node = unwrap(node)
    if not isinstance(node, Binary) or node.op not in ("*", "/"):
        return None
    if constant(node.right) is not None:
        return _ratio(node.left)
    if node.op == "/":
        return node
    return _ratio(node.right) if constant(node.left) is not None else None


def _counted(node: Node) -> Node | None:
    """What counts the events of a divisor: the same with increase() in place of rate(); None where it has neither."""
    match node:
        case Paren(expr=inner) | Aggregate(op="sum", expr=inner):
            found = _counted(inner)
            return None if found is None else replace(node, expr=found)
        case Call(function="rate" | "increase"):
            return replace(node, function="increase")
        case Binary(op="+", left=left, right=right):
            one, other = _counted(left), _counted(right)
            return None if one is None or other is None else replace(node, left=one, right=other)
        case _:
            return None
