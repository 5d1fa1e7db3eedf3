"""Thresholds in expressions, and the sides of a condition."""

import pytest

from alerts.rules.defaults import GROUPS
from alerts.rules.expression import Comparison, ExpressionError, check, expand, split


def test_the_threshold_is_written_as_promql_reads_it() -> None:
    assert expand("x > $threshold", 1.0) == "x > 1"
    assert expand("x > $threshold", 0.05) == "x > 0.05"
    assert expand("x > $threshold", -2.5) == "x > -2.5"
    assert expand("x > 3", None) == "x > 3"


@pytest.mark.parametrize(
    ("expr", "threshold", "message"),
    [
        ("x > $threshold", None, "a threshold is needed"),
        ("x > 1", 2.0, "has no \\$threshold"),
        ("x > $threshold", float("nan"), "finite"),
        ("x > (", None, "not PromQL"),
    ],
)
def test_an_expression_that_cannot_run_is_refused(expr: str, threshold: float | None, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        check(expr, threshold)


def test_a_chart_gets_the_measured_side_and_the_limit() -> None:
    assert split("sum(x) * 2 > 5") == Comparison("sum(x) * 2", ">", "5", 5.0)
    assert split("(x <= 0 and y > 0)") == Comparison("x", "<=", "0", 0.0)
    assert split("a > on (team) b * 0.9") == Comparison("a", ">", "b * 0.9", None)
    assert split("absent(x)") is None


def test_every_default_rule_can_be_split_for_its_chart() -> None:
    for rule in [rule for group in GROUPS for rule in group.rules]:
        assert split(check(rule.expr, rule.threshold)) is not None, rule.name
