"""Prometheus's semantics of alerting rules, line by line as its sources have them (`rules/alerting.go`, `manager.go`,
`group.go`): a test per line, named after it. What the other modules of this folder hold in detail is held here once
more in short, so that no line is forgotten."""

import datetime as dt
from collections.abc import Callable

import pytest

import promql
from alerts.evaluation.schedule import due_slots, shift_of
from alerts.models import Alert, Channel, Delivery, Rule, RuleGroup
from alerts.notify.channels import create_channel
from tests.alerts.groups import evaluate_group
from tests.alerts.scripted_rules import DELAY, START, flip_lines, gauge, make_rule, minute, only_alert, run

pytestmark = pytest.mark.django_db


def health(rule: Rule) -> tuple[str, str]:
    """What the rule shows of its last evaluation."""
    rule.refresh_from_db()
    return rule.health, rule.last_error


def test_identity_is_the_result_without_the_name_under_the_rule_s_labels_and_alertname() -> None:
    rule = make_rule(name="Load", labels={"host": "over {{ $labels.host }}", "alertname": "ignored"})
    run(rule, gauge({"a": [9]}), 0, 0)
    assert only_alert(rule).labels == {"alertname": "Load", "host": "over a", "severity": "warning"}


def test_identity_two_results_with_one_final_label_set_make_the_whole_evaluation_an_error() -> None:
    rule = make_rule(labels={"host": "same"})
    run(rule, gauge({"a": [9], "b": [9]}), 0, 0)
    assert health(rule) == ("err", "vector contains metrics with the same labelset after applying alert labels")
    assert flip_lines(rule) == []


def test_states_for_0_fires_on_the_first_evaluation() -> None:
    rule = make_rule(for_seconds=0)
    run(rule, gauge({"a": [9]}), 0, 0)
    assert flip_lines(rule) == ["0 a inactive>firing 9"]


def test_states_an_alert_fires_when_it_has_been_active_for_at_least_for() -> None:
    rule = make_rule(for_seconds=120)
    run(rule, gauge({"a": [9, 9, 9]}), 0, 2)
    assert flip_lines(rule) == ["0 a inactive>pending 9", "2 a pending>firing 9"]


def test_states_a_pending_miss_deletes_the_alert_and_what_fires_again_after_resolving_is_a_new_alert() -> None:
    rule = make_rule(for_seconds=60)
    run(rule, gauge({"a": [9, 0, 9, 9, 0, 9, 9]}), 0, 6)
    assert [line.split(" ", 2)[2].rsplit(" ", 1)[0] for line in flip_lines(rule)] == [
        "inactive>pending",
        "pending>inactive",
        "inactive>pending",
        "pending>firing",
        "firing>resolved",
        "inactive>pending",
        "pending>firing",
    ]
    assert Alert.objects.filter(rule=rule).count() == 3


def test_keep_firing_for_starts_at_the_first_miss_and_any_sample_resets_it() -> None:
    rule = make_rule(keep_firing_seconds=120)
    run(rule, gauge({"a": [9, 0, 9, 0, 0, 0]}), 0, 5)
    assert flip_lines(rule) == ["0 a inactive>firing 9", "5 a firing>resolved 9"]


def test_keep_firing_for_keeps_no_pending_alert() -> None:
    rule = make_rule(for_seconds=300, keep_firing_seconds=300)
    run(rule, gauge({"a": [9, 0]}), 0, 1)
    assert flip_lines(rule)[-1] == "1 a pending>inactive 9"


def test_keep_firing_for_raising_for_above_the_alert_s_age_returns_it_to_pending() -> None:
    rule = make_rule()
    source = gauge({"a": [9, 9]})
    run(rule, source, 0, 0)
    Rule.objects.update(for_seconds=600)
    run(rule, source, 1, 1)
    assert flip_lines(rule)[-1] == "1 a firing>pending 9"


def test_value_and_annotations_are_refreshed_each_evaluation_and_labels_are_frozen() -> None:
    rule = make_rule(annotations={"summary": "{{ $value }}"})
    run(rule, gauge({"a": [9, 7]}), 0, 1)
    alert = only_alert(rule)
    assert (alert.value, alert.annotations["summary"], alert.labels["host"]) == (7, "7", "a")


def test_value_in_a_label_restarts_for() -> None:
    rule = make_rule(labels={"level": "{{ $value }}"}, for_seconds=60)
    run(rule, gauge({"a": [9, 8]}), 0, 1)
    assert "0 a inactive>pending 9" in flip_lines(rule)
    assert not any("firing" in line for line in flip_lines(rule))


def test_an_evaluation_error_freezes_the_state_and_is_the_rule_s_health() -> None:
    rule = make_rule()
    source = gauge({"a": [9, 0]})
    run(rule, source, 0, 0)
    Rule.objects.update(expr="load > on (", threshold=None)
    run(rule, source, 1, 1)
    assert health(rule)[0] == "err"
    assert flip_lines(rule) == ["0 a inactive>firing 9"]


def test_limit_exceeded_makes_the_rule_fail_and_clears_all_its_alerts() -> None:
    rule = make_rule()
    RuleGroup.objects.update(limit=1)
    run(rule, gauge({"a": [9, 9], "b": [0, 9]}), 0, 1)
    assert health(rule) == ("err", "exceeded limit of 1 with 2 alerts")
    assert not Alert.objects.filter(state__in=["pending", "firing"]).exists()


def sent(rule: Rule) -> list[tuple[float, str, float, float | None]]:
    """Each queued message: its minute, what it tells first, and the `startsAt` and `endsAt` of its alert."""
    rows = Delivery.objects.filter(alert__rule=rule).select_related("alert", "flip").order_by("id")
    return [
        (
            number(one.flip.at),
            one.lead_state,
            number(one.alert.fired_at or START),
            None if one.alert.ended_at is None else number(one.alert.ended_at),
        )
        for one in rows
    ]


def number(at: dt.datetime) -> float:
    """A time in minutes since the start."""
    return (at - START).total_seconds() / 60


@pytest.fixture
def channel(db: None) -> Channel:
    """Somebody who hears of alerts."""
    return create_channel("slack", "#all", {"url": "https://hooks.slack.com/services/T000/B000/x"})


def test_sending_never_tells_of_what_is_pending(channel: Channel) -> None:
    rule = make_rule(for_seconds=600)
    run(rule, gauge({"a": [9, 9, 0]}), 0, 2)
    assert flip_lines(rule) == ["0 a inactive>pending 9", "2 a pending>inactive 9"]
    assert sent(rule) == []


def test_sending_says_since_when_it_fires_not_since_when_its_condition_holds(channel: Channel) -> None:
    rule = make_rule(for_seconds=120)
    run(rule, gauge({"a": [9, 9, 9, 9]}), 0, 3)
    assert sent(rule) == [(2, "firing", 2, None)]


def test_sending_tells_the_end_of_what_fired_at_its_slot(channel: Channel) -> None:
    rule = make_rule(for_seconds=60)
    run(rule, gauge({"a": [9, 9, 9, 0]}), 0, 3)
    assert [(at, state) for at, state, _, _ in sent(rule)] == [(1, "firing"), (3, "resolved")]
    assert {(starts, ends) for _, _, starts, ends in sent(rule)} == {(1, 3)}


def test_sending_nothing_at_a_failed_evaluation_and_here_nobody_forgets_the_alert_meanwhile(channel: Channel) -> None:
    rule = make_rule()
    source = gauge({"a": [9] * 12})
    run(rule, source, 0, 0)
    Rule.objects.update(expr="load > on (", threshold=None)
    run(rule, source, 1, 10)
    # Prometheus's receiver ends it after four intervals without a word; rows do not expire.
    assert sent(rule) == [(0, "firing", 0, None)]
    assert only_alert(rule).state == "firing"


def test_sending_is_by_rows_so_here_what_still_fires_is_said_again_by_routing_alone(channel: Channel) -> None:
    rule = make_rule()
    run(rule, gauge({"a": [9] * 30}), 0, 29)
    assert sent(rule) == [(0, "firing", 0, None)]


def test_schedule_a_slot_is_a_multiple_of_the_interval_and_an_offset_by_hash_where_that_is_wanted(
    portal_setting: Callable[..., None],
) -> None:
    assert due_slots(60, None, minute(3.5)).due == [minute(3)]
    portal_setting(evaluation_jitter=True)
    shift = shift_of("group", 60)
    assert 0 <= shift < 60
    [slot] = due_slots(60, None, minute(5), shift).due
    assert (slot - START) % dt.timedelta(minutes=1) == dt.timedelta(seconds=shift)


def test_schedule_rules_of_a_group_are_sequential_at_one_time_and_later_ones_see_earlier_output() -> None:
    first = make_rule(name="First", expr="vector(time())", threshold=None, record="made:time")
    second = Rule.objects.create(group=first.group, name="Second", expr="made:time == time()", position=1)
    run(first, promql.MemorySource(), 0, 0)
    assert Alert.objects.filter(rule=second).count() == 1


def test_missed_evaluations_are_counted_and_here_they_are_made_up_for_up_to_a_bound(
    portal_setting: Callable[..., None],
) -> None:
    portal_setting(evaluation_delay=15, evaluation_catch_up=120)
    rule = make_rule(for_seconds=60)
    source = gauge({"a": [9] * 10})
    run(rule, source, 0, 0)
    evaluate_group(rule.group_id, minute(9) + DELAY, source)
    rule.group.refresh_from_db()
    assert rule.group.slots_skipped == 6
    # `for` is wall time: the gap does not reset it.
    assert flip_lines(rule) == ["0 a inactive>pending 9", "7 a pending>firing 9"]


def test_late_data_query_offset_shifts_the_query_and_what_is_stored() -> None:
    rule = make_rule()
    RuleGroup.objects.update(query_offset_seconds=60)
    run(rule, gauge({"a": [9, 0, 0]}), 0, 2)
    assert flip_lines(rule) == ["1 a inactive>firing 9", "2 a firing>resolved 9"]


def test_restart_loses_nothing_neither_for_nor_keep_firing_for() -> None:
    steady, restarted = (make_rule(name=name, for_seconds=120, keep_firing_seconds=120) for name in ("a", "b"))
    source = gauge({"a": [9, 9, 9, 0, 0, 9, 0, 0, 0]})
    run(steady, source, 0, 8)
    # Nothing of the engine lives longer than a tick: two minutes of downtime are made up for from the rows.
    run(restarted, source, 0, 3)
    run(restarted, source, 6, 8)
    assert flip_lines(restarted) == flip_lines(steady)


def test_reload_carries_the_state_over_a_changed_expression() -> None:
    rule = make_rule(for_seconds=120)
    source = gauge({"a": [9, 9, 9]})
    run(rule, source, 0, 1)
    Rule.objects.update(expr="load > $threshold + 0")
    run(rule, source, 2, 2)
    assert flip_lines(rule) == ["0 a inactive>pending 9", "2 a pending>firing 9"]


def test_no_data_an_empty_result_resolves() -> None:
    rule = make_rule()
    run(rule, gauge({"a": [9, None]}), 0, 1)
    assert flip_lines(rule) == ["0 a inactive>firing 9", "1 a firing>resolved 9"]


def test_templates_an_error_stays_in_the_text_and_the_alert_fires_all_the_same() -> None:
    rule = make_rule(annotations={"summary": "{{ nothing }}"})
    run(rule, gauge({"a": [9]}), 0, 0)
    alert = only_alert(rule)
    assert alert.state == "firing"
    assert alert.annotations["summary"].startswith("<error expanding template:")


def test_clock_steps_back_evaluate_nothing_twice() -> None:
    rule = make_rule()
    source = gauge({"a": [9, 9, 9, 9]})
    run(rule, source, 0, 2)
    assert evaluate_group(rule.group_id, minute(1) + DELAY, source) == 0
    run(rule, source, 3, 3)
    assert flip_lines(rule) == ["0 a inactive>firing 9"]
