"""Rules from files and to files: the plan, doing it, doing it again, and the way back."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.apps import apps
from django.core.management import CommandError, call_command

from alerts.exchange import export, plan
from alerts.exchange.prometheus import tunable
from alerts.models import Rule, RuleGroup, Runbook
from alerts.rulefiles.rules import read_rule_file
from alerts.rules import edits
from alerts.rules.defaults import ensure_defaults
from alerts.rules.expression import expand
from core.accounts.models import Workspace
from core.audit.models import AuditLine

pytestmark = pytest.mark.django_db
FILES = Path(__file__).parent / "files"
NOW = dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.UTC)


def planned(text: str, workspace: Workspace | None = None) -> plan.Plan:
    return plan.plan(plan.read_file(text, "file.yml"), workspace, "file.yml")


def imported(text: str, workspace: Workspace | None = None) -> plan.Plan:
    found = planned(text, workspace)
    plan.apply(found, workspace, by=None, now=NOW, changes_groups=True)
    return found


def counts(found: plan.Plan) -> tuple[int, int, int, int]:
    """New, changed, same, not understood."""
    return found.count("new"), found.count("changed"), found.count("same"), len(found.problems)


def text_of(name: str) -> str:
    return (FILES / name).read_text()


def test_a_prometheus_file_goes_in_and_comes_out_as_it_was() -> None:
    imported(text_of("prometheus.yml"))
    rules = export.rules_of(None, ["recorded", "plain"])
    assert sorted_groups(export.write(rules, "prometheus")) == sorted_groups(text_of("prometheus.yml"))


def sorted_groups(text: str) -> list[Any]:
    """The groups of a file, by name, as plain values."""
    return sorted(yaml.safe_load(text)["groups"], key=lambda group: str(group["name"]))


@pytest.mark.parametrize("name", ["prometheus.yml", "vmalert.yml", "grafana.yml"])
def test_importing_again_changes_nothing(name: str) -> None:
    first = imported(text_of(name))
    assert first.count("new") == len(first.rules) > 0
    again = planned(text_of(name))
    assert not again.is_change
    assert again.count("same") == len(again.rules)
    assert again.only_here == []


@pytest.mark.parametrize("form", sorted(export.WRITERS))
def test_the_shipped_rules_come_back_the_same_from_every_format(form: str) -> None:
    ensure_defaults(apps.get_model)
    rules = export.rules_of(None)
    found = planned(export.write(rules, form))
    assert counts(found) == (0, 0, len(rules), 0)
    assert not found.is_change
    assert found.only_here == []


def test_what_is_exported_is_taken_by_prometheus_rules() -> None:
    imported(text_of("prometheus.yml"))
    ensure_defaults(apps.get_model)
    assert read_rule_file(export.write(export.rules_of(None), "prometheus"), "x").problems == []


def test_alerts_of_imported_rules_have_exactly_the_labels_of_the_file() -> None:
    imported(text_of("prometheus.yml"))
    page, none = Rule.objects.get(name="HighErrors"), Rule.objects.get(name="NoSeverity")
    assert (page.severity, page.labels["severity"]) == ("critical", "page")
    assert (none.severity, none.labels) == ("warning", {"severity": ""})
    both = Rule.objects.filter(group__name="plain").order_by("position")[:2]
    assert [(rule.alert_name, rule.severity, rule.threshold) for rule in both] == [
        ("High", "warning", 5.0),
        ("High", "critical", 9.0),
    ]


def test_changes_are_named_and_rules_that_the_file_lacks_stay() -> None:
    imported(text_of("prometheus.yml"))
    changed = text_of("prometheus.yml").replace("for: 5m", "for: 6m").replace("limit: 50", "limit: 60")
    changed = changed.replace("  - alert: NoSeverity\n    expr: absent(load)\n", "").replace("load > 9", "load > 10")
    found = planned(changed)
    assert counts(found) == (0, 2, 2, 0)
    assert [rule.alert_name for rule in found.only_here] == ["NoSeverity"]
    said = list(plan.lines(found))
    assert "changed: group recorded\n    limit: 50 → 60" in said
    assert "changed: recorded / HighErrors\n    for_seconds: 300 → 360" in said
    assert "changed: plain / High\n    threshold: 9.0 → 10.0" in said
    assert said[-1] == "0 new, 2 changed, 2 the same, 0 not understood"
    plan.apply(found, None, by=None, now=NOW, changes_groups=True)
    assert Rule.objects.get(name="HighErrors").for_seconds == 360
    assert Rule.objects.filter(name="NoSeverity").exists()
    assert AuditLine.objects.filter(action="changed", object_name="HighErrors").exists()


def test_a_changed_label_changes_the_rule_of_that_name() -> None:
    imported(text_of("vmalert.yml"))
    found = imported(text_of("vmalert.yml").replace("severity: warning", "severity: critical"))
    assert counts(found) == (0, 1, 0, 0)
    assert Rule.objects.get(name="Slow").severity == "critical"


def test_a_query_that_is_only_written_otherwise_is_the_same() -> None:
    imported(text_of("vmalert.yml"))
    assert not planned(text_of("vmalert.yml").replace("sum by (le) (", "sum  by(le)(")).is_change


def test_the_order_of_the_file_is_that_of_the_group() -> None:
    group = RuleGroup.objects.create(name="plain")
    edits.create_rule(group, "Mine", edits.RuleEdit(expr="vector(1)"), by=None, now=NOW)
    imported(text_of("prometheus.yml"))
    assert [rule.name for rule in group.rules.order_by("position")] == ["High", "High (2)", "NoSeverity", "Mine"]


def test_what_is_not_understood_is_named_with_its_place_and_the_rest_is_planned() -> None:
    bad = text_of("prometheus.yml").replace("load > 9", "load > (").replace("for: 5m", "for: 1500ms")
    found = planned(bad)
    assert counts(found) == (3, 0, 0, 2)
    assert [problem.line for problem in found.problems] == [13, 30]
    assert found.problems[0].message == 'group "recorded", "HighErrors": for: 1500ms is not a whole number of seconds'
    assert found.problems[1].message.startswith('group "plain", rule 2, "High": could not parse expression: ')


def test_a_file_with_an_unknown_field_is_refused_with_the_field_s_place() -> None:
    found = planned("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: b\n    fro: 5m\n")
    assert counts(found) == (0, 0, 0, 1)
    assert (found.problems[0].line, found.problems[0].message) == (6, "Object contains unknown field `fro`")


def test_what_the_portal_refuses_is_not_understood() -> None:
    found = planned("groups:\n- name: g\n  rules:\n  - record: llm_provider_errors_total\n    expr: b\n")
    assert "is a metric that the portal has already" in found.problems[0].message


def test_vmalert_s_own_fields_are_kept_or_named() -> None:
    found = imported(text_of("vmalert.yml"))
    assert found.format == "vmalert"
    assert found.notes == ['group "vm": concurrency has no meaning here and is left out']
    group = RuleGroup.objects.get(name="vm")
    assert group.query_offset_seconds == 30
    written = yaml.safe_load(export.write(export.rules_of(None, ["vm"]), "vmalert"))["groups"][0]
    assert written["eval_delay"] == "30s"
    assert written["rules"][0]["debug"] == "true"


def test_grafana_s_queries_and_expressions_become_promql() -> None:
    found = imported(text_of("grafana.yml"))
    by_name = {rule.name: rule for rule in Rule.objects.filter(group__name="from grafana")}
    assert {name: expand(rule.expr, rule.threshold) for name, rule in by_name.items()} == {
        "Usage high": "sum(llm_provider_tokens_total) > 5",
        "Ratio": "(sum(a)) / (sum(b)) > 0.1",
        "Range": "(a or b) < 1 or (a or b) > 2.5",
    }
    high = by_name["Usage high"]
    assert (high.for_seconds, high.keep_firing_seconds, high.enabled, high.threshold) == (300, 120, False, 5)
    assert high.labels == {"team": "$labels.team"}
    assert high.annotations == {"summary": "{{ $value }} on {{ $labels.provider }}"}
    assert [problem.message.split(": ", 1)[1] for problem in found.problems] == [
        "mean of a range of values has no PromQL; make the query instant and use mean_over_time in it",
        "A: not a query in PromQL",
    ]
    written = yaml.safe_load(export.write(export.rules_of(None, ["from grafana"]), "grafana"))["groups"][0]["rules"]
    kept = next(rule for rule in written if rule["title"] == "Usage high")
    assert (kept["uid"], kept["noDataState"], kept["isPaused"]) == ("usage_high", "NoData", True)
    assert kept["labels"] == {"severity": "critical", "team": "$$labels.team"}
    assert kept["annotations"] == {"summary": "{{ $values.A.Value }} on {{ $labels.provider }}"}


def test_a_rule_in_the_simple_format_becomes_promql() -> None:
    imported("alerts:\n- {name: Queue, metric: q, condition: '> 5', severity: critical, notification: [slack]}\n")
    rule = Rule.objects.get(name="Queue")
    found = (rule.expr, rule.threshold, rule.severity, rule.channel_kinds)
    assert found == ("q > $threshold", 5, "critical", ["slack"])


def test_the_simple_format_leaves_what_it_has_no_word_for() -> None:
    text = 'alerts:\n- {name: Errors, metric: llm_provider_errors_total, condition: "rate(5m) > 0.1"}\n'
    imported(text)
    rule = Rule.objects.get(name="Errors")
    edits.update_rule(rule, edits.RuleEdit(for_seconds=60, annotations={"summary": "x"}), by=None, now=NOW)
    assert not planned(text).is_change


def test_a_link_to_one_of_the_portal_s_runbooks_becomes_the_runbook_and_back() -> None:
    Runbook.objects.create(slug="slow", title="Slow")
    imported(text_of("vmalert.yml"))
    rule = Rule.objects.get(name="Slow")
    edits.update_rule(rule, edits.RuleEdit(runbook=Runbook.objects.get(slug="slow")), by=None, now=NOW)
    text = export.write(export.rules_of(None, ["vm"]), "prometheus")
    assert "/runbooks/slow/" in text
    assert not planned(text).is_change
    Rule.objects.get(name="Slow").delete()
    imported(text)
    fresh = Rule.objects.get(name="Slow")
    assert (fresh.runbook and fresh.runbook.slug, fresh.annotations) == ("slow", {})


def test_each_owner_has_rules_of_its_own() -> None:
    shop = Workspace.objects.create(slug="shop", name="Shop")
    imported(text_of("vmalert.yml"))
    assert counts(planned(text_of("vmalert.yml"), shop)) == (1, 0, 0, 0)
    imported(text_of("vmalert.yml"), shop)
    assert {rule.workspace for rule in Rule.objects.filter(name="Slow")} == {None, shop}


@pytest.mark.parametrize(
    ("expr", "tuned", "threshold"),
    [
        ("a > 5", "a > $threshold", 5),
        ("a > 0.25", "a > $threshold", 0.25),
        ("a > 5.0", "a > 5.0", None),
        ("a5 > 5", "a5 > $threshold", 5),
        ("a > 5 and b > 5", "a > 5 and b > 5", None),
        ("a and b > 5", "a and b > 5", None),
        ("a > b", "a > b", None),
        ("a", "a", None),
    ],
)
def test_a_plain_number_becomes_the_threshold_where_the_text_can_be_had_back(
    expr: str, tuned: str, threshold: float | None
) -> None:
    assert tunable(expr) == (tuned, threshold)


def test_the_command_says_the_plan_imports_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rules", "import", "--dry-run", str(FILES / "vmalert.yml"))
    assert capsys.readouterr().out.splitlines() == [
        "new: group vm",
        "new: vm / Slow",
        'note: group "vm": concurrency has no meaning here and is left out',
        "1 new, 0 changed, 0 the same, 0 not understood",
    ]
    assert not Rule.objects.filter(name="Slow").exists()
    call_command("rules", "import", str(FILES / "vmalert.yml"))
    call_command("rules", "export", "--group", "vm")
    (tmp_path / "out.yml").write_text(capsys.readouterr().out.split("understood\n", 1)[1])
    call_command("rules", "import", str(tmp_path / "out.yml"))
    assert capsys.readouterr().out == "0 new, 0 changed, 1 the same, 0 not understood\n"


def test_a_file_with_problems_is_imported_in_part_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("rules", "import", str(FILES / "grafana.yml"))
    assert not Rule.objects.filter(name="Ratio").exists()
    with pytest.raises(SystemExit):
        call_command("rules", "import", "--partly", str(FILES / "grafana.yml"))
    assert Rule.objects.filter(name="Ratio").exists()
    assert "not understood" in capsys.readouterr().out


def test_an_unknown_workspace_is_named() -> None:
    with pytest.raises(CommandError, match="there is no workspace nowhere"):
        call_command("rules", "export", "--workspace", "nowhere")


GRAFANA_JUDGED = """
apiVersion: 1
groups:
- name: judged
  folder: Ops
  interval: 1m
  rules:
  - uid: u
    title: Load
    condition: C
    noDataState: KeepLast
    execErrState: Alerting
    data:
    - {refId: A, datasourceUid: prom1, model: {refId: A, expr: load, instant: true}}
    - refId: C
      datasourceUid: __expr__
      model:
        refId: C
        type: threshold
        expression: A
        conditions:
        - evaluator: {type: gt, params: [5]}
          unloadEvaluator: {type: lt, params: [3]}
"""


def test_grafana_s_recovery_missing_data_and_errors_are_the_rule_s_both_ways() -> None:
    imported(GRAFANA_JUDGED)
    rule = Rule.objects.get(group__name="judged")
    assert (rule.threshold, rule.recovery_threshold, rule.no_data, rule.on_error) == (5, 3, "keep", "alert")
    assert not planned(GRAFANA_JUDGED).is_change
    text = export.write(export.rules_of(None, ["judged"]), "grafana")
    [written] = yaml.safe_load(text)["groups"][0]["rules"]
    assert (written["noDataState"], written["execErrState"]) == ("KeepLast", "Alerting")
    assert written["data"][-1]["model"]["conditions"][0]["unloadEvaluator"] == {"type": "lt", "params": [3]}
    assert not planned(text).is_change
    edits.update_rule(rule, edits.RuleEdit(no_data="ok", recovery_threshold=None), by=None, now=NOW)
    assert planned(GRAFANA_JUDGED).rules[0].changes == {
        "no_data": ["ok", "keep"],
        "recovery_threshold": [None, 3.0],
    }
