"""The rules that ship are those of the requirement documents."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.apps import apps

import promql
from alerts import gotemplate
from alerts.models import Rule, RuleGroup, Runbook
from alerts.rules.defaults import GROUPS, REQUIRED, RUNBOOKS, DefaultRule, ensure_defaults
from alerts.rules.expression import expand

SPEC = Path(__file__).resolve().parents[2] / "documents/rules.yaml"
SECONDS = {"30s": 30, "1m": 60, "2m": 120, "5m": 300, "15m": 900}
RULES = [rule for group in GROUPS for rule in group.rules]


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    return loaded


def canonical(expr: str) -> str:
    return promql.parse(expr).pretty()


def test_groups_and_intervals_are_those_of_the_documents(spec: dict[str, Any]) -> None:
    wanted = [
        (group["name"], SECONDS[group["interval"]], [rule["alert"] for rule in group["rules"]])
        for group in spec["groups"]
    ]
    assert [(group.name, group.interval_seconds, [rule.name for rule in group.rules]) for group in REQUIRED] == wanted


def test_expressions_times_severities_and_summaries_are_those_of_the_documents(spec: dict[str, Any]) -> None:
    for wanted in [rule for group in spec["groups"] for rule in group["rules"]]:
        rule = next(rule for rule in RULES if rule.name == wanted["alert"])
        assert rule.severity == wanted["severity"]
        assert rule.for_seconds == SECONDS.get(wanted.get("for"), 0)
        if "expr" in wanted:
            assert canonical(expand(rule.expr, rule.threshold)) == canonical(wanted["expr"])
        if "summary" in wanted:
            assert rule.annotations["summary"] == wanted["summary"]
        if "notify" in wanted:
            assert rule.channel_kinds == tuple(wanted["notify"])


def test_the_simple_rules_became_the_promql_that_the_documents_mean() -> None:
    became = {rule.name: canonical(expand(rule.expr, rule.threshold)) for rule in RULES}
    assert became["High Error Rate"] == canonical('rate(agent_execution_total{status="failed"}[5m]) > 0.1')
    assert became["Budget Threshold"] == canonical("team_spend_usd > on (team) budget_limit * 0.9")


def test_rates_below_one_read_as_people_write_them() -> None:
    rates = [rule for rule in RULES if rule.unit in ("errors/s", "failures/s")]
    assert len(rates) == 3
    for rule in rates:
        # The documents give the summary of the provider's errors, with its metric prefix (593.3m/sec).
        own = {
            name: text
            for name, text in rule.annotations.items()
            if (rule.name, name) != ("HighProviderErrorRate", "summary")
        }
        said = [gotemplate.expand(text, {}, 0.5933) for text in own.values() if gotemplate.uses_value(text)]
        assert said
        assert all("0.59 " in text for text in said), said


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_runbook_for_the_person_woken(rule: DefaultRule) -> None:
    text = (RUNBOOKS / f"{rule.runbook}.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        f"# {rule.title}",
        "## What this means",
        "## Confirm",
        "## Likely causes",
        "## Do",
        "## Escalate",
    ]


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule.runbook for rule in RULES}


@pytest.mark.django_db
def test_adding_the_defaults_again_keeps_what_an_operator_tuned() -> None:
    ensure_defaults(apps.get_model)
    Rule.objects.filter(name="HighProviderCost").update(threshold=7)
    ensure_defaults(apps.get_model)
    assert Rule.objects.get(name="HighProviderCost").threshold == 7
    assert (RuleGroup.objects.count(), Rule.objects.count(), Runbook.objects.count()) == (5, 12, 12)


def test_the_spike_rule_counts_both_kinds_of_tokens() -> None:
    spike = next(rule for rule in RULES if rule.name == "LLMUsageTokenSpikeWarning")
    assert "compozy_llm_prompt_tokens_total" in spike.expr
    assert "compozy_llm_completion_tokens_total" in spike.expr
