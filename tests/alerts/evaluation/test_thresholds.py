"""Thresholds of some label sets: the first row of a rule's table that matches counts, live and in the backtest."""

from typing import Any

import pytest

from alerts.evaluation.evaluate import apply, evaluate_slots
from alerts.evaluation.states import RuleState
from alerts.incidents.models import Incident
from alerts.models import Alert, Delivery, Flip, Rule
from alerts.notify.channels import create_channel
from alerts.rules.edits import RuleEdit, RuleError, update_rule, validate
from tests.alerts.evaluation.test_judgement import Script, both, rule_of
from tests.alerts.scripted_rules import flip_lines, gauge, make_rule, minute, run

SLACK = {"url": "https://hooks.slack.com/services/T000/B000/x"}


def test_the_first_row_that_matches_counts_and_without_one_the_rule_s_own() -> None:
    rows = [{"match": "host=a", "threshold": 8}, {"match": 'host=~"a|b"', "threshold": 3}]
    values: dict[str, Script] = {"a": [4, 6, 9], "b": [2, 4, 9], "c": [4, 6, 9]}
    assert both(rule_of(thresholds=rows), values) == {"a": "--F", "b": "-FF", "c": "-FF"}


def test_a_row_has_its_own_for_and_recovery_threshold() -> None:
    rows = [{"match": "host=a", "threshold": 8, "for_seconds": 120, "recovery_threshold": 2}]
    values: dict[str, Script] = {"a": [9, 9, 9, 3, 2], "b": [6, 6, 4, 6, 6]}
    assert both(rule_of(thresholds=rows), values) == {"a": "ppFF-", "b": "FF-FF"}


def test_a_rule_about_too_little_asks_as_far_up_as_its_highest_threshold() -> None:
    rows = [{"match": "host=a", "threshold": 20}, {"match": "host=b", "threshold": 1}]
    values: dict[str, Script] = {"a": [30, 15, 15], "b": [30, 4, 4], "c": [30, 4, 4]}
    assert both(rule_of("load < $threshold", thresholds=rows), values) == {"a": "-FF", "c": "-FF"}


def test_an_alert_knows_by_what_it_was_judged_and_has_its_row_s_severity() -> None:
    rule = rule_of(thresholds=[{"match": "host=a", "threshold": 8, "severity": "critical"}])
    state = RuleState(rule, {})
    apply(state, evaluate_slots(rule, [minute(0)], gauge({"a": [9], "b": [9]})), [minute(0)], minute(0))
    found = {alert.labels["host"]: (alert.labels["severity"], alert.severity, alert.threshold_text)
             for alert in state.open.values()}  # fmt: skip
    assert found == {"a": ("critical", "critical", "8"), "b": ("warning", "warning", "5")}
    assert sorted(flip.threshold for flip in state.flips if flip.threshold is not None) == [5, 8]


@pytest.mark.django_db
def test_what_a_row_says_is_stored_and_followed_when_it_is_edited() -> None:
    rule = make_rule(thresholds=[{"match": "host=a", "threshold": 8, "for_seconds": 60}])
    source = gauge({"a": [9, 9, 9], "b": [6, 6, 6]})
    run(rule, source, 0, 1)
    assert flip_lines(rule) == [
        "0 a inactive>pending 9",
        "0 b inactive>firing 6",
        "1 a pending>firing 9",
    ]
    Rule.objects.update(thresholds=[{"match": "host=a", "threshold": 7, "for_seconds": 600}])
    run(rule, source, 2, 2)
    assert flip_lines(rule)[-1] == "2 a firing>pending 9"
    alert = Alert.objects.get(rule=rule, labels__host="a")
    assert (alert.threshold, alert.for_seconds, Flip.objects.get(alert=alert, at=minute(2)).threshold) == (7, 600, 7)


@pytest.mark.django_db
def test_a_row_s_channels_are_notified_and_the_others_are_not() -> None:
    everybody, vip = (create_channel("slack", name, SLACK) for name in ("#all", "#vip"))
    rule = make_rule(thresholds=[{"match": "host=a", "threshold": 8, "channels": ["#vip"], "severity": "critical"}])
    rule.channels.set([everybody])
    run(rule, gauge({"a": [9], "b": [9]}), 0, 0)
    notified = {
        delivery.channel_id: delivery.alert.labels["host"] for delivery in Delivery.objects.select_related("alert")
    }
    assert notified == {everybody.pk: "b", vip.pk: "a"}
    assert {frozenset(one.group_labels.items()) for one in Incident.objects.all()} == {
        frozenset({("alertname", rule.name)}),
        frozenset({("alertname", rule.name), ("severity", "critical"), ("channels", "#vip")}),
    }


@pytest.mark.django_db
def test_a_table_is_an_edit_of_the_rule_and_can_be_undone() -> None:
    rule = make_rule()
    change = update_rule(rule, RuleEdit(thresholds=[{"match": "host=a", "threshold": 8}]), by=None, now=minute(0))
    assert change is not None
    assert change.fields == {"thresholds": [[], [{"match": "host=a", "threshold": 8}]]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"threshold": 1}, "row 1: match is missing"),
        ({"match": "host=a"}, "row 1: threshold must be a number"),
        ({"match": "host=a", "threshold": True}, "row 1: threshold must be a number"),
        ({"match": "{", "threshold": 1}, "row 1: "),
        ({"match": "", "threshold": 1}, "row 1: needs at least one matcher"),
        ({"match": "host=a", "threshold": 1, "colour": "red"}, "row 1: no such field: colour"),
        ({"match": "host=a", "threshold": 1, "for_seconds": -1}, "row 1: for_seconds must be between 0 and 30 days"),
        ({"match": "host=a", "threshold": 1, "severity": "bad"}, "row 1: severity must be one of"),
        ({"match": "host=a", "threshold": 1, "channels": ["#no"]}, "there is no channel #no"),
        ({"match": "host=a", "threshold": 1, "recovery_threshold": 2}, "row 1: the recovery threshold must be below"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(row: dict[str, Any], why: str) -> None:
    with pytest.raises(RuleError) as caught:
        validate(rule_of(thresholds=[row]))
    assert caught.value.errors["thresholds"].startswith(why)


def test_a_query_without_a_threshold_to_replace_is_refused() -> None:
    with pytest.raises(RuleError) as caught:
        validate(rule_of("load > 5", threshold=None, thresholds=[{"match": "host=a", "threshold": 1}]))
    assert caught.value.errors == {"thresholds": "belongs to a threshold"}
