"""How a rule judges what it measures: the query that is asked, and which samples of its result begin an alert or only
keep one that fires.

The evaluation and what a rule would have done (`alerts.evaluation`) both ask here, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import promql
from alerts.models import Rule, WithoutData
from alerts.rules.expression import PLACEHOLDER, ExpressionError, expand, split
from promql.parser.condition import constant
from promql.parser.printer import format_matching
from promql.syntax import Aggregate, Binary, Call, Node, Paren, unwrap
from promql.values import Bools, Floats

COMPARED: dict[str, Callable[[Floats, float], Bools]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
# A threshold that no query has by itself, to find the place where it stands.
STAND_IN = 1234567890.0


@dataclass(frozen=True)
class Judge:
    """`query` is what is asked at a slot; `measured` is the measured side of its condition, asked where it matters
    that there is no data.

    With an `operator` the query's result reaches down to `recovery`, and its samples beyond `threshold` begin alerts.
    Without one all do."""

    query: str
    measured: str = ""
    operator: str = ""
    threshold: float = 0.0

    def begins(self, values: Floats) -> Bools:
        """Whether a sample of such a value begins an alert; each keeps one."""
        if not self.operator:
            return np.ones(values.shape, dtype=bool)
        return COMPARED[self.operator](values, self.threshold)


def judge_of(rule: Rule) -> Judge:
    """How the rule judges. Raises ExpressionError or promql.PromQLError."""
    threshold, recovery = rule.threshold, rule.recovery_threshold
    plain = expand(rule.expr, threshold)
    asked = plain if recovery is None else expand(rule.expr, recovery)
    if rule.min_events:
        asked = with_least_events(asked, rule.min_events)
    judge = Judge(asked)
    if recovery is not None and threshold is not None:
        judge = replace(judge, operator=operator_of(rule.expr, "recovery_threshold"), threshold=threshold)
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
    judge_of(rule)
    if rule.recovery_threshold is None:
        return
    if rule.threshold is None:
        raise ExpressionError("belongs to a threshold", "recovery_threshold")
    is_upper = operator_of(rule.expr, "recovery_threshold").startswith(">")
    if not (rule.recovery_threshold < rule.threshold if is_upper else rule.recovery_threshold > rule.threshold):
        raise ExpressionError(f"must be {'below' if is_upper else 'above'} the threshold", "recovery_threshold")


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
