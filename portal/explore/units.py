"""The unit of a query's values, as far as the catalog and the expression tell it.

A unit is the catalog's word with `/s`, `/min` or `/h` for rates, "" for a plain number, "ratio", "%", or None where it
is not known.
"""

from __future__ import annotations

import math

from core.ui import numbers
from promql import syntax
from promql.labels import METRIC_NAME
from promql.text_forms import format_value
from usage.catalog import BY_SERIES

RATES = frozenset({"rate", "irate", "deriv"})
COUNTS = frozenset({"count_over_time", "changes", "resets", "absent", "absent_over_time", "present_over_time", "sgn"})
SAME = frozenset(
    {
        "increase",
        "delta",
        "idelta",
        "abs",
        "ceil",
        "floor",
        "round",
        "clamp",
        "clamp_min",
        "clamp_max",
        "sort",
        "sort_desc",
    }
    | {"sort_by_label", "sort_by_label_desc", "label_replace", "label_join", "scalar", "vector", "predict_linear"}
    | {f"{name}_over_time" for name in ("avg", "min", "max", "sum", "first", "last", "quantile", "stddev", "mad")}
    | {"holt_winters", "double_exponential_smoothing", "info"}
)
PLAIN_AGGREGATIONS = frozenset({"count", "count_values", "group"})
SCALED = {(100, "ratio"): "%", (1000, "seconds"): "ms"}
PER = {60: "/min", 3600: "/h"}


def unit_of(node: syntax.Node) -> str | None:
    """The unit of what the expression answers."""
    match node:
        case syntax.Selector():
            return _of_selector(node)
        case syntax.Number():
            return ""
        case syntax.Call():
            return _of_call(node)
        case syntax.Aggregate():
            return "" if node.op in PLAIN_AGGREGATIONS else unit_of(node.expr)
        case syntax.Binary():
            return _of_binary(node)
        case syntax.Paren() | syntax.Unary() | syntax.Subquery():
            return unit_of(node.expr)
    return None


def metric_of(node: syntax.Selector) -> str:
    """The metric that a selector names, "" for none or a pattern."""
    return next((one.value for one in node.matchers if one.name == METRIC_NAME and one.op == "="), "")


def _of_selector(node: syntax.Selector) -> str | None:
    name = metric_of(node)
    family = BY_SERIES.get(name)
    if family is None:
        return None
    return "" if family.type == "histogram" and not name.endswith("_sum") else family.unit


def _of_call(node: syntax.Call) -> str | None:
    if node.function in COUNTS:
        return ""
    if node.function == "histogram_fraction":
        return "ratio"
    if node.function in ("histogram_quantile", "histogram_quantiles"):
        named = (metric_of(one) for one in syntax.walk(node) if isinstance(one, syntax.Selector))
        return next((BY_SERIES[name].unit for name in named if name in BY_SERIES), None)
    vectors = [one for one in node.args if not isinstance(one, syntax.Number | syntax.String)]
    if not vectors or node.function not in RATES | SAME:
        return None
    inner = unit_of(vectors[0])
    return f"{inner}/s" if node.function in RATES and inner is not None else inner


def _number(node: syntax.Node) -> float | None:
    inner = syntax.unwrap(node)
    return inner.value if isinstance(inner, syntax.Number) else None


def _of_binary(node: syntax.Binary) -> str | None:
    left, right = unit_of(node.left), unit_of(node.right)
    if node.op in syntax.COMPARISONS:
        return "" if node.return_bool else left if _number(node.left) is None else right
    if node.op in syntax.SET_OPERATORS:
        return left if left is not None else right
    if node.op == "/":
        return _shared(node, right) or _divided(left, right)
    if node.op == "*":
        return _times(node, left, right)
    if node.op in ("+", "-"):
        return _summed(node, left, right)
    return None


def _summed(node: syntax.Binary, left: str | None, right: str | None) -> str | None:
    """Sums keep the unit of their sides; a number takes the other side's."""
    if _number(node.left) is not None:
        return right
    return left if left == right or _number(node.right) is not None else None


def _shared(node: syntax.Binary, right: str | None) -> str | None:
    """`100 * a / b` is a share in percent where a and b have one unit."""
    product = syntax.unwrap(node.left)
    if isinstance(product, syntax.Binary) and product.op == "*" and _number(product.left) == 100:
        return SCALED.get((100, _divided(unit_of(product.right), right) or ""))
    return None


def _divided(left: str | None, right: str | None) -> str | None:
    if left is None or right is None:
        return None
    if left == right:
        return "ratio"
    if left.endswith("/s") and right.endswith("/s"):
        return _divided(left[:-2], right[:-2])
    return left if right in ("", "ratio") else None


def _times(node: syntax.Binary, left: str | None, right: str | None) -> str | None:
    number, unit = _number(node.left), right
    if number is None:
        number, unit = _number(node.right), left
    if number is None or unit is None:
        return None
    if number in (0, 1):
        return unit
    if unit.endswith("/s") and number in PER:
        return unit[:-2] + PER[int(number)]
    return SCALED.get((int(number), unit)) if number == int(number) else None


def shown(unit: str | None) -> str:
    """The unit as it stands in a corner or a heading, "" where there is none to show."""
    if unit in (None, "", "ratio"):
        return ""
    return f"per {'second' if unit == '/s' else unit[1:]}" if unit and unit.startswith("/") else unit or ""


def value_text(value: float, unit: str | None) -> str:
    """A value with its unit, rounded as people do."""
    if not math.isfinite(value):
        return format_value(value)
    sign = "−" if value < 0 else ""
    if unit == "seconds":
        return sign + numbers.seconds(abs(value))
    if unit == "%":
        return sign + numbers.percent(abs(value))
    if unit and unit.startswith("USD"):
        return f"{sign}{numbers.usd(abs(value))}{unit[3:]}"
    number = numbers.count(abs(value))
    if unit in (None, "", "ratio"):
        return sign + number
    return f"{sign}{number}{numbers.SPACE}{unit}"
