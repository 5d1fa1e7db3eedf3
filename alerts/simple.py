"""The `simple` rule format (name, metric, condition, severity, notification), turned into PromQL with its number as `$threshold`."""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
OPERATOR = r"==|!=|>=|<=|>|<"
COMPARED_WITH_NUMBER = re.compile(rf"(?:(\w+)\((\w+)\)\s*)?({OPERATOR})\s*({NUMBER})")
COMPARED_WITH_SHARE = re.compile(rf"({OPERATOR})\s*([a-zA-Z_:][\w:]*)\s*\*\s*({NUMBER})")
RANGE_FUNCTIONS = {
    "rate",
    "increase",
    "irate",
    "delta",
    "avg_over_time",
    "max_over_time",
    "min_over_time",
    "sum_over_time",
}
SHARED_LABEL = {"budget_limit": "team"}
SEVERITIES = ("critical", "warning", "info")
CHANNELS = ("email", "slack", "webhook")


class SimpleRuleError(ValueError):
    """A rule in the simple format that cannot be understood; the message names the field."""


@dataclass(frozen=True, kw_only=True)
class SimpleRule:
    """A rule as written in the simple format; `notification` names kinds of channels."""

    name: str
    metric: str
    condition: str
    severity: str = "warning"
    notification: tuple[str, ...] = ()


@dataclass(frozen=True)
class Converted:
    """PromQL with `$threshold` in place of the number, and the number."""

    expr: str
    threshold: float


def to_promql(rule: SimpleRule) -> Converted:
    """What the rule became. A condition is `function(range) > number`, `> number` or `> metric * number`."""
    if rule.severity not in SEVERITIES:
        raise SimpleRuleError(f"severity: {rule.severity!r} is none of {', '.join(SEVERITIES)}")
    if unknown := set(rule.notification) - set(CHANNELS):
        raise SimpleRuleError(f"notification: {', '.join(sorted(unknown))} is none of {', '.join(CHANNELS)}")
    metric = re.sub(r"'([^'\"\\]*)'", r'"\1"', rule.metric.strip())
    condition = rule.condition.strip()
    if match := COMPARED_WITH_NUMBER.fullmatch(condition):
        function, window, operator, number = match.groups()
        if function and function not in RANGE_FUNCTIONS:
            raise SimpleRuleError(f"condition: {function}() is none of {', '.join(sorted(RANGE_FUNCTIONS))}")
        left = f"{function}({metric}[{window}])" if function else metric
        return Converted(f"{left} {operator} $threshold", float(number))
    if match := COMPARED_WITH_SHARE.fullmatch(condition):
        operator, other, number = match.groups()
        on = f" on ({SHARED_LABEL[other]})" if other in SHARED_LABEL else ""
        return Converted(f"{metric} {operator}{on} {other} * $threshold", float(number))
    raise SimpleRuleError(
        f"condition: {condition!r} is not understood; write e.g. `rate(5m) > 0.1`, `> 10` or `> budget_limit * 0.9`"
    )
