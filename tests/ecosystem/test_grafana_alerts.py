"""cluster/grafana/alerts/: the file that Grafana provisions alert rules from."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import promql
from alerts.exchange.grafana import annotation, condition
from alerts.rules.defaults import GROUPS

FILE = Path(__file__).resolve().parents[2] / "cluster/grafana/alerts/llm-usage-alerts.yaml"
DOCUMENT = yaml.safe_load(FILE.read_text())
RULES = {rule["title"]: rule for group in DOCUMENT["groups"] for rule in group["rules"]}


def test_every_default_rule_is_provisioned_in_its_group() -> None:
    assert DOCUMENT["apiVersion"] == 1
    assert [(group["name"], [rule["title"] for rule in group["rules"]]) for group in DOCUMENT["groups"]] == [
        (group.name, [rule.name for rule in group.rules]) for group in GROUPS
    ]
    assert {rule["labels"]["severity"] for rule in RULES.values()} == {"critical", "warning"}


@pytest.mark.parametrize("group", DOCUMENT["groups"], ids=lambda group: group["name"])
def test_a_group_has_what_grafana_requires(group: dict[str, Any]) -> None:
    assert group["folder"]
    seconds = {"s": 1, "m": 60, "h": 3600}[group["interval"][-1]] * int(group["interval"][:-1])
    assert seconds % 10 == 0


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule["uid"])
def test_a_rule_has_what_grafana_requires(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", rule["uid"])
    assert (rule["condition"], rule["noDataState"], rule["execErrState"]) == ("C", "OK", "Error")
    assert re.fullmatch(r"\d+[smhd]", rule["for"])
    *queries, threshold = rule["data"]
    assert [part["refId"] for part in queries] == ["A", "B"][: len(queries)]
    for query in queries:
        assert query["relativeTimeRange"]["from"] > query["relativeTimeRange"]["to"]
        assert query["model"]["refId"] == query["refId"]
        assert query["model"]["instant"] is True
        promql.parse(query["model"]["expr"])
    assert threshold["refId"] == "C"
    assert threshold["datasourceUid"] == "__expr__"
    assert threshold["model"]["type"] == "threshold"
    assert threshold["model"]["expression"] == queries[-1]["refId"]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule["uid"])
def test_dollars_are_written_as_grafana_reads_them(rule: dict[str, Any]) -> None:
    # Environment variables are filled in everywhere but in annotations.
    everywhere = yaml.safe_dump({name: value for name, value in rule.items() if name != "annotations"})
    assert re.findall(r"(?<!\$)\$(?!\$)", everywhere) == []
    assert "$value " not in str(rule["annotations"])
    assert "$$" not in str(rule["annotations"])


def test_a_comparison_with_a_number_is_taken_apart() -> None:
    found = condition("sum by (a) (rate(x[5m])) > 0.1")
    assert found.measured == found.tested == "sum by (a) (rate(x[5m]))"
    assert (found.evaluator, found.limit) == ("gt", 0.1)


def test_a_comparison_with_a_query_tests_their_difference_under_the_same_labels() -> None:
    found = condition("spend > on (team) budget * 0.9")
    assert found.tested == "(spend - on (team) (budget * 0.9))"
    assert found.measured == "(spend + on (team) 0 * (budget * 0.9))"
    assert (found.evaluator, found.limit) == ("gt", 0)


def test_what_and_demands_is_demanded_of_both_queries() -> None:
    found = condition("sum(x) <= 0 and sum(y) > 0")
    assert found.measured == "sum(x) and (sum(y) > 0)"
    assert found.tested == "(sum(x) <= bool (0)) and (sum(y) > 0)"
    assert (found.evaluator, found.limit) == ("gt", 0)


def test_texts_in_quotes_keep_their_spaces() -> None:
    assert condition('x{a="b  ( c"} > 1').measured == 'x{a="b  ( c"}'


def test_an_expression_without_a_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="no comparison"):
        condition("sum(x)")


def test_the_value_in_an_annotation_is_that_of_query_a() -> None:
    assert (
        annotation("{{ $value | humanize }} of {{ $values.B }}")
        == "{{ $values.A.Value | humanize }} of {{ $values.B }}"
    )
