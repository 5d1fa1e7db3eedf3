"""Edits of rules."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from alerts.models import Rule, RuleChange, RuleGroup
from alerts.rules.edits import RuleEdit, RuleError, create_rule, pause, resume, set_enabled, update_rule
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
