"""Rules through their slots: states, identity, errors, what is due."""

import datetime as dt
from collections.abc import Callable, Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import promql
from alerts.evaluation.schedule import Slots, due_slots
from alerts.evaluation.tick import tick
from alerts.models import Alert, Delivery, Flip, Health, Rule, RuleGroup
from alerts.notify.channels import create_channel
from tests.alerts.groups import evaluate_group
from tests.alerts.scripted_rules import DELAY, START, flip_lines, gauge, make_rule, minute, only_alert, run

pytestmark = pytest.mark.django_db


def test_without_for_an_alert_fires_at_the_first_hit_and_resolves_at_the_first_miss() -> None:
    rule = make_rule()
    run(rule, gauge({"a": [1, 9, 9, 2]}), 0, 3)
    assert flip_lines(rule) == ["1 a inactive>firing 9", "3 a firing>resolved 9"]
    alert = only_alert(rule)
    assert (alert.active_at, alert.fired_at, alert.ended_at) == (minute(1), minute(1), minute(3))


def test_with_for_an_alert_is_pending_until_it_held_that_long() -> None:
    rule = make_rule(for_seconds=120)
    run(rule, gauge({"a": [9, 9, 9, 9, 0]}), 0, 4)
    assert flip_lines(rule) == ["0 a inactive>pending 9", "2 a pending>firing 9", "4 a firing>resolved 9"]


def test_a_pending_miss_ends_the_episode_and_for_starts_again() -> None:
    rule = make_rule(for_seconds=120)
    run(rule, gauge({"a": [9, 9, 0, 9, 9, 9]}), 0, 5)
    assert flip_lines(rule) == [
        "0 a inactive>pending 9",
        "2 a pending>inactive 9",
        "3 a inactive>pending 9",
        "5 a pending>firing 9",
    ]
    assert Alert.objects.count() == 2


def test_an_alert_keeps_firing_over_short_misses() -> None:
    rule = make_rule(keep_firing_seconds=120)
    run(rule, gauge({"a": [9, 0, 9, 0, 0, 0, 0]}), 0, 6)
    # The clock of the misses starts at minute 3, since minute 2 had a sample.
    assert flip_lines(rule) == ["0 a inactive>firing 9", "5 a firing>resolved 9"]


def test_pending_is_not_kept_by_keep_firing() -> None:
    rule = make_rule(for_seconds=300, keep_firing_seconds=600)
    run(rule, gauge({"a": [9, 0]}), 0, 1)
    assert flip_lines(rule) == ["0 a inactive>pending 9", "1 a pending>inactive 9"]


def test_raising_for_above_the_age_makes_a_firing_alert_pending_again_and_it_still_resolves() -> None:
    rule = make_rule(for_seconds=60)
    source = gauge({"a": [9, 9, 9, 9, 0]})
    run(rule, source, 0, 2)
    Rule.objects.update(for_seconds=600)
    run(rule, source, 3, 4)
    assert flip_lines(rule) == [
        "0 a inactive>pending 9",
        "1 a pending>firing 9",
        "3 a firing>pending 9",
        "4 a pending>resolved 9",
    ]


def test_each_label_set_is_an_alert_of_its_own_and_a_vanished_series_resolves() -> None:
    rule = make_rule()
    run(rule, gauge({"a": [9, 9, 9], "b": [0, 7, None]}), 0, 2)
    assert sorted(flip_lines(rule)) == ["0 a inactive>firing 9", "1 b inactive>firing 7", "2 b firing>resolved 7"]


def test_labels_are_the_result_s_without_the_name_under_the_rule_s_and_alertname() -> None:
    rule = make_rule(
        name="Load", severity="critical", labels={"host": "of {{ $labels.host }}", "gone": "", "team": "x"}
    )
    run(rule, gauge({"a": [9]}), 0, 0)
    assert only_alert(rule).labels == {"alertname": "Load", "host": "of a", "severity": "critical", "team": "x"}


def test_annotations_follow_the_value_and_labels_stay() -> None:
    rule = make_rule(annotations={"summary": "{{ $labels.host }} at {{ $value }}", "bad": "{{ nothing }}"})
    run(rule, gauge({"a": [9, 7.5]}), 0, 1)
    alert = only_alert(rule)
    assert alert.value == 7.5
    assert alert.annotations == {
        "summary": "a at 7.5",
        "bad": '<error expanding template: function "nothing" not defined>',
    }


def test_a_value_in_the_labels_makes_another_alert_at_each_value() -> None:
    rule = make_rule(labels={"level": "{{ $value }}"}, for_seconds=60)
    run(rule, gauge({"a": [9, 8, 8]}), 0, 2)
    assert sorted(flip_lines(rule)) == [
        "0 a inactive>pending 9",
        "1 a inactive>pending 8",
        "1 a pending>inactive 9",
        "2 a pending>firing 8",
    ]


def test_an_error_freezes_the_alerts_and_shows_in_the_rule_s_health() -> None:
    rule = make_rule(expr="load > 5", threshold=None)
    source = gauge({"a": [9, 9, 9]})
    run(rule, source, 0, 0)
    Rule.objects.update(expr="load > on (missing")
    run(rule, source, 1, 1)
    rule.refresh_from_db()
    assert rule.health == Health.ERROR
    assert rule.last_error
    assert flip_lines(rule) == ["0 a inactive>firing 9"]
    Rule.objects.update(expr="load > 5")
    run(rule, source, 2, 2)
    rule.refresh_from_db()
    assert (rule.health, rule.last_error) == (Health.OK, "")
    assert flip_lines(rule) == ["0 a inactive>firing 9"]


def test_two_results_with_one_final_label_set_are_an_error() -> None:
    rule = make_rule(labels={"host": ""})
    run(rule, gauge({"a": [9], "b": [9]}), 0, 0)
    rule.refresh_from_db()
    assert rule.last_error == "vector contains metrics with the same labelset after applying alert labels"
    assert flip_lines(rule) == []


def test_a_scalar_is_one_alert_without_labels_of_its_own() -> None:
    rule = make_rule(expr="time() * 0 + 3", threshold=None, name="Always")
    run(rule, gauge({}), 0, 0)
    assert only_alert(rule).labels == {"alertname": "Always", "severity": "warning"}
    assert only_alert(rule).value == 3


@pytest.mark.parametrize("stop", [{"enabled": False}, {"paused_until": minute(60)}])
def test_a_rule_that_is_off_or_paused_ends_its_alerts_without_resolving_them(stop: dict[str, object]) -> None:
    rule = make_rule()
    source = gauge({"a": [9, 9, 9]})
    run(rule, source, 0, 0)
    Rule.objects.update(**stop)
    run(rule, source, 1, 2)
    assert flip_lines(rule) == ["0 a inactive>firing 9", "1 a firing>inactive 9"]
    rule.refresh_from_db()
    assert rule.health == Health.UNKNOWN


def test_a_pause_that_is_over_begins_a_new_episode() -> None:
    rule = make_rule(paused_until=minute(1))
    run(rule, gauge({"a": [9, 9]}), 0, 1)
    assert flip_lines(rule) == ["1 a inactive>firing 9"]


def test_a_slot_is_evaluated_once_however_often_it_ticks() -> None:
    rule = make_rule()
    source = gauge({"a": [9]})
    assert [evaluate_group(rule.group_id, START + DELAY, source) for _ in range(3)] == [1, 0, 0]
    assert flip_lines(rule) == ["0 a inactive>firing 9"]


def test_a_slot_is_due_once_the_evaluation_delay_has_passed() -> None:
    rule = make_rule()
    assert evaluate_group(rule.group_id, START + DELAY - dt.timedelta(seconds=1), gauge({})) == 0
    assert evaluate_group(rule.group_id, START + DELAY, gauge({})) == 1


def test_a_new_group_begins_with_the_newest_slot() -> None:
    assert due_slots(60, None, minute(3.5)) == Slots([minute(3)], 0)


def test_missed_slots_are_due_in_order_up_to_the_bound(portal_setting: Callable[..., None]) -> None:
    portal_setting(evaluation_delay=15, evaluation_catch_up=180)
    assert due_slots(60, minute(0), minute(2) + DELAY) == Slots([minute(1), minute(2)], 0)
    assert due_slots(60, minute(0), minute(9) + DELAY) == Slots([minute(number) for number in (6, 7, 8, 9)], 5)
    portal_setting(evaluation_delay=15, evaluation_catch_up=0)
    assert due_slots(60, minute(0), minute(9) + DELAY) == Slots([minute(9)], 8)


@pytest.mark.parametrize("changes", [{}, {"for_seconds": 120}, {"for_seconds": 60, "keep_firing_seconds": 180}])
def test_downtime_changes_no_flip(changes: dict[str, int]) -> None:
    values: list[float | None] = [0, 9, 9, 9, 0, 0, 9, 0, None, 9, 9, 9, 9, 0, 0, 0, 0, 0, 9]
    source = gauge({"a": values, "b": [9, *values]})
    steady, down = make_rule(**changes), make_rule(**changes)
    run(steady, source, 0, 18)
    run(down, source, 0, 3)
    run(down, source, 18, 18)
    assert flip_lines(down) == flip_lines(steady) != []
    late = Flip.objects.filter(alert__rule=down, at__gt=minute(3))
    assert {flip.created_at for flip in late} == {minute(18) + DELAY}


def test_an_expression_about_the_whole_query_is_evaluated_slot_by_slot() -> None:
    rule = make_rule(expr="load @ end() > 5", threshold=None)
    run(rule, gauge({"a": [9, 0, 9]}), 2, 2)
    assert flip_lines(rule) == ["0 a inactive>firing 9", "1 a firing>resolved 9", "2 a inactive>firing 9"]


def test_an_error_in_one_missed_slot_freezes_that_slot_only() -> None:
    rule = make_rule(labels={"host": "", "all": "yes"})
    source = gauge({"a": [9, 9, 0, 0], "b": [None, 9, None, None]})
    run(rule, source, 3, 3)
    assert flip_lines(rule) == ["0  inactive>firing 9", "2  firing>resolved 9"]
    rule.refresh_from_db()
    assert rule.health == Health.OK


class Counting:
    """Counts the reads of a source."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner = inner
        self.reads = 0

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        self.reads += 1
        return self.inner.select(matchers, start_ms, end_ms, hints)


def test_series_are_read_once_per_tick_for_all_rules() -> None:
    RuleGroup.objects.update(evaluated_until=minute(0))
    rules = [make_rule(threshold=number) for number in range(8)]
    source = Counting(gauge({"a": [9]}))
    assert tick(START + DELAY, source) == len(rules)
    assert source.reads == 1
    assert Alert.objects.count() == len(rules)


def test_a_metric_of_which_rules_watch_different_series_is_read_once_per_tick() -> None:
    RuleGroup.objects.update(evaluated_until=minute(0))
    rules = [make_rule(expr=f'load{{host="{host}"}} > 5', threshold=None) for host in "abcd"]
    make_rule(expr="no PromQL", threshold=None)
    source = Counting(gauge({host: [9] for host in "abcd"}))
    assert tick(START + DELAY, source) == len(rules) + 1
    assert source.reads == 1
    assert sorted(Alert.objects.values_list("labels__host", flat=True)) == ["a", "b", "c", "d"]


def test_the_number_of_statements_does_not_grow_with_the_alerts() -> None:
    def statements(hosts: int) -> int:
        rule = make_rule()
        source = gauge({f"h{number}": [9, 8, 0] for number in range(hosts)})
        with CaptureQueriesContext(connection) as captured:
            run(rule, source, 0, 2)
        return len(captured)

    assert statements(2) == statements(40)


def test_the_number_of_statements_does_not_grow_with_the_rules_of_a_group() -> None:
    create_channel("webhook", "everybody", {"url": "https://hooks.example.org/"})

    def statements(rules: int) -> int:
        first = make_rule()
        for number in range(1, rules):
            Rule.objects.create(group=first.group, name=f"{first.name}.{number}", expr="load > $threshold", threshold=5)
        with CaptureQueriesContext(connection) as captured:
            run(first, gauge({"a": [9, 8]}), 0, 1)
        assert Delivery.objects.filter(incident__members__alert__rule__group=first.group).count() == rules
        return len(captured)

    assert statements(2) == statements(20)
