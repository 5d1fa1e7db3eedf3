"""The `simple` rule format (name, metric, condition, severity, notification), turned into PromQL with its number as
`$threshold`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from alerts.rules.models import SEVERITY_ORDER
from core.bounded_yaml import BoundedLoader
from usage.catalog import BY_SERIES

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
CHANNELS = ("email", "slack", "webhook")
FIELDS = {"name", "metric", "condition", "severity", "notification"}


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
    if rule.severity not in SEVERITY_ORDER:
        raise SimpleRuleError(f"severity: {rule.severity!r} is none of {', '.join(SEVERITY_ORDER)}")
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
        return Converted(f"{metric} {operator}{_on(metric, other)} {other} * $threshold", float(number))
    raise SimpleRuleError(
        f"condition: {condition!r} is not understood; write e.g. `rate(5m) > 0.1`, `> 10` or `> budget_limit * 0.9`"
    )


def parse_rules(text: str) -> list[SimpleRule]:
    """The rules of a YAML file: a list, or a mapping with the list under `alerts`. SimpleRuleError names the faulty
    rule and the problem."""
    try:
        document = yaml.load(text, BoundedLoader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SimpleRuleError(f"not YAML: {' '.join(str(error).split())}") from None
    entries = document.get("alerts") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise SimpleRuleError("expected a list of rules, or `alerts:` with a list of rules")
    return [_read_one(number, entry) for number, entry in enumerate(entries, 1)]


def _read_one(number: int, entry: Any) -> SimpleRule:
    """One rule, which is known to become PromQL."""
    if not isinstance(entry, dict):
        raise SimpleRuleError(f"rule {number}: expected a mapping")
    place = f"rule {number} ({entry.get('name', 'without a name')})"
    if unknown := set(entry) - FIELDS:
        raise SimpleRuleError(f"{place}: no such field: {', '.join(sorted(map(str, unknown)))}")
    notification = entry.get("notification") or []
    texts = {name: entry.get(name, "warning" if name == "severity" else "") for name in FIELDS - {"notification"}}
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            raise SimpleRuleError(f"{place}: {name}: is missing, or no text")
    if not isinstance(notification, list) or not all(isinstance(kind, str) for kind in notification):
        raise SimpleRuleError(f"{place}: notification: expected a list of {', '.join(CHANNELS)}")
    rule = SimpleRule(**texts, notification=tuple(notification))
    try:
        to_promql(rule)
    except SimpleRuleError as error:
        raise SimpleRuleError(f"{place}: {error}") from None
    return rule


def _on(metric: str, other: str) -> str:
    """The labels by which two metrics of the catalog are compared: those that both have."""
    families = BY_SERIES.get(metric.split("{")[0].strip()), BY_SERIES.get(other)
    if families[0] is None or families[1] is None:
        return ""
    return f" on ({', '.join(label for label in families[0].labels if label in families[1].labels)})"
