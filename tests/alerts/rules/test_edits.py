"""Edits of rules."""

import datetime as dt
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from alerts.models import Rule, RuleChange, RuleGroup
from alerts.rules.edits import RuleEdit, RuleError, create_rule, import_simple, pause, resume, set_enabled, update_rule
from alerts.rules.simple import SimpleRule
from tests.alerts.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_rules")]


@pytest.fixture
def rule() -> Rule:
    return Rule.objects.get(name="HighProviderCost")


def test_an_edit_is_kept_with_who_when_and_what(rule: Rule, author: User) -> None:
    change = update_rule(rule, RuleEdit(threshold=250, for_seconds=60, severity="warning"), by=author, now=NOW)
    assert change is not None
    assert (change.version, change.author_name, change.at) == (2, "ada", NOW)
    assert change.fields == {"threshold": [100, 250], "for_seconds": [300, 60]}
    assert (rule.threshold, rule.for_seconds, rule.version) == (250, 60, 2)


def test_an_edit_that_changes_nothing_leaves_no_trace(rule: Rule, author: User) -> None:
    assert update_rule(rule, RuleEdit(threshold=100), by=author, now=NOW) is None
    assert RuleChange.objects.count() == 0


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (RuleEdit(threshold=None), "threshold"),
        (RuleEdit(expr="sum( > $threshold"), "expr"),
        (RuleEdit(expr="x > 1"), "threshold"),
        (RuleEdit(for_seconds=-1), "for_seconds"),
        (RuleEdit(severity="page"), "severity"),
        (RuleEdit(channel_kinds=["pigeon"]), "channel_kinds"),
        (RuleEdit(annotations={"summary": 3}), "annotations"),  # type: ignore[dict-item]
    ],
)
def test_a_rule_that_could_not_run_is_refused_and_unchanged(
    rule: Rule, author: User, edit: RuleEdit, field: str
) -> None:
    with pytest.raises(RuleError) as refused:
        update_rule(rule, edit, by=author, now=NOW)
    assert set(refused.value.errors) == {field}
    stored = Rule.objects.get(pk=rule.pk)
    assert (stored.version, stored.threshold, stored.for_seconds) == (1, 100, 300)


def test_pausing_resuming_and_disabling_are_edits(rule: Rule, author: User) -> None:
    pause(rule, NOW + dt.timedelta(hours=1), by=author, now=NOW)
    assert rule.is_paused(NOW)
    assert not rule.is_paused(NOW + dt.timedelta(hours=1))
    resume(rule, by=author, now=NOW)
    set_enabled(rule, False, by=author, now=NOW)
    assert [change.fields for change in rule.changes.all()] == [
        {"enabled": [True, False]},
        {"paused_until": ["2026-03-02T11:00:00+00:00", None]},
        {"paused_until": [None, "2026-03-02T11:00:00+00:00"]},
    ]
    with pytest.raises(RuleError, match="future"):
        pause(rule, NOW, by=author, now=NOW)


def test_a_new_rule_comes_last_in_its_group(author: User) -> None:
    group = RuleGroup.objects.get(name="mcp_tools")
    rule = create_rule(group, "Calls", RuleEdit(expr="sum(x) > $threshold", threshold=3), by=author, now=NOW)
    assert rule.position == 2
    assert rule.changes.get().fields == {"expr": [None, "sum(x) > $threshold"], "threshold": [None, 3]}
    with pytest.raises(RuleError, match="taken"):
        create_rule(group, "Calls", RuleEdit(expr="x > 1"), by=author, now=NOW)


def test_a_simple_rule_is_imported_as_promql(author: User) -> None:
    simple = SimpleRule(name="Queue", metric="q", condition="> 5", severity="critical", notification=("slack",))
    rule = import_simple("mcp_tools", [simple], by=author, now=NOW)[0]
    assert (rule.expr, rule.threshold, rule.severity, rule.channel_kinds) == (
        "q > $threshold",
        5,
        "critical",
        ["slack"],
    )


def test_an_import_is_done_whole_or_not_at_all(author: User) -> None:
    rules = [SimpleRule(name=name, metric="q", condition="> 5") for name in ("New", "HighProviderCost")]
    with pytest.raises(RuleError, match="taken"):
        import_simple("mcp_tools", rules, by=author, now=NOW)
    assert not Rule.objects.filter(name="New").exists()


def test_the_command_imports_a_file_and_shows_the_promql(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("alerts:\n  - {name: Queue, metric: llm_usage_persist_queue_size, condition: '> 500'}\n")
    out = StringIO()
    call_command("import_rules", str(path), group="queues", stdout=out)
    assert out.getvalue() == "Queue: llm_usage_persist_queue_size > 500\n"
    assert Rule.objects.get(name="Queue").group.name == "queues"
    with pytest.raises(CommandError, match="name: is taken"):
        call_command("import_rules", str(path), group="queues")
    path.write_text("alerts: 7")
    with pytest.raises(CommandError, match="expected a list of rules"):
        call_command("import_rules", str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_rules", str(tmp_path / "nothing.yaml"))
