"""The simple rule format."""

import pytest

from alerts.rules.expression import expand
from alerts.rules.simple import SimpleRule, SimpleRuleError, parse_rules, to_promql


@pytest.mark.parametrize(
    ("metric", "condition", "expr"),
    [
        (
            "agent_execution_total{status='failed'}",
            "rate(5m) > 0.1",
            'rate(agent_execution_total{status="failed"}[5m]) > 0.1',
        ),
        ("team_spend_usd", "> budget_limit * 0.9", "team_spend_usd > on (team) budget_limit * 0.9"),
        ("llm_usage_persist_queue_size", ">= 1000", "llm_usage_persist_queue_size >= 1000"),
        ("queue", "avg_over_time(1h) < 2.5e3", "avg_over_time(queue[1h]) < 2500"),
        ("used", "> free * 2", "used > free * 2"),
    ],
)
def test_a_simple_rule_becomes_promql(metric: str, condition: str, expr: str) -> None:
    became = to_promql(SimpleRule(name="x", metric=metric, condition=condition))
    assert expand(became.expr, became.threshold) == expr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"condition": "is high"}, "condition: 'is high' is not understood"),
        ({"condition": "explode(5m) > 1"}, r"condition: explode\(\) is none of"),
        ({"severity": "bad"}, "severity: 'bad' is none of"),
        ({"notification": ("pigeon",)}, "notification: pigeon is none of"),
    ],
)
def test_what_is_not_understood_is_named(changes: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"name": "x", "metric": "m", "condition": "> 1", **changes}
    with pytest.raises(SimpleRuleError, match=message):
        to_promql(SimpleRule(**fields))  # type: ignore[arg-type]


def test_the_documents_own_file_is_read() -> None:
    text = """
alerts:
  - name: "High Error Rate"
    metric: "agent_execution_total{status='failed'}"
    condition: "rate(5m) > 0.1"
    severity: "warning"
    notification: ["email", "slack"]
  - {name: Budget Threshold, metric: team_spend_usd, condition: "> budget_limit * 0.9"}
"""
    first, second = parse_rules(text)
    assert (first.name, first.notification) == ("High Error Rate", ("email", "slack"))
    assert (second.severity, second.notification) == ("warning", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("just text", "expected a list"),
        ("[7]", "rule 1: expected a mapping"),
        ("[{name: x, metric: m}]", r"rule 1 \(x\): condition: is missing"),
        ("[{name: x, metric: m, condition: '> 1', colour: red}]", r"rule 1 \(x\): no such field: colour"),
        ("[{name: x, metric: m, condition: 'high'}]", r"rule 1 \(x\): condition: 'high' is not understood"),
        (
            "[{name: x, metric: m, condition: '> 1', notification: email}]",
            r"rule 1 \(x\): notification: expected a list",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(SimpleRuleError, match=message):
        parse_rules(text)
