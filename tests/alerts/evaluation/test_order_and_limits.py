"""The engine's bounds: limits of groups, slow rules, order and jitter; and what is noted of each evaluation."""

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

import promql
from alerts.evaluation.order import in_order
from alerts.evaluation.schedule import due_slots, shift_of, slot_before
from alerts.evaluation.tick import tick
from alerts.models import Rule, RuleGroup
from tests.alerts.scripted_rules import DELAY, flip_lines, gauge, make_rule, minute, run

pytestmark = pytest.mark.django_db


def test_a_rule_over_its_group_s_limit_fails_and_all_its_alerts_end() -> None:
    rule = make_rule()
    RuleGroup.objects.update(limit=1)
    run(rule, gauge({"a": [9, 9, 9], "b": [0, 9, 0]}), 0, 2)
    assert flip_lines(rule) == ["0 a inactive>firing 9", "1 a firing>inactive 9", "2 a inactive>firing 9"]


def test_the_error_of_a_rule_over_its_limit_names_both_numbers() -> None:
    rule = make_rule()
    RuleGroup.objects.update(limit=1)
    run(rule, gauge({"a": [9], "b": [9]}), 0, 0)
    rule.refresh_from_db()
    assert (rule.health, rule.last_error) == ("err", "exceeded limit of 1 with 2 alerts")
    assert (rule.evaluations, rule.evaluation_failures) == (1, 1)


def test_alerts_that_keep_firing_count_for_the_limit() -> None:
    rule = make_rule(keep_firing_seconds=600)
    RuleGroup.objects.update(limit=1)
    run(rule, gauge({"a": [9, 0], "b": [0, 9]}), 0, 1)
    rule.refresh_from_db()
    assert rule.last_error == "exceeded limit of 1 with 2 alerts"


class Slow:
    """A source that never answers, until Postgres ends its statement."""

    def select(self, *_: Any) -> list[promql.Block]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(600)")
        return []


@pytest.mark.django_db(transaction=True)
def test_a_slow_rule_fails_alone_and_its_alerts_stay(portal_setting: Callable[..., None]) -> None:
    slow = make_rule(name="Slow", expr="anything > 5", threshold=None)
    fast = Rule.objects.create(group=slow.group, name="Fast", expr="vector(1)", position=1)
    other = make_rule(name="Other", expr="vector(1)", threshold=None)
    portal_setting(rule_timeout=1)
    began = time.monotonic()
    tick(minute(0) + DELAY, Slow())
    assert time.monotonic() - began < 60
    slow.refresh_from_db()
    assert (slow.health, slow.last_error) == ("err", "the query ran longer than 1 s")
    assert flip_lines(fast) == flip_lines(other) == ["0  inactive>firing 1"]


@pytest.mark.django_db(transaction=True)
def test_what_others_found_is_written_before_a_slow_group_is_begun() -> None:
    slow = make_rule(name="A slow one", expr="load > 5", threshold=None)
    RuleGroup.objects.filter(pk=slow.group_id).update(last_duration_seconds=8)
    fast = make_rule(name="Z fast", expr="vector(1)", threshold=None)
    seen = []

    class Asks(promql.MemorySource):
        def select(self, matchers: Any, *_: Any) -> list[promql.Block]:
            if any(one.value == "load" for one in matchers):
                seen.append(flip_lines(fast))
            return []

    tick(minute(0) + DELAY, Asks())
    assert seen == [["0  inactive>firing 1"]]


def test_slow_groups_come_last_and_groups_that_record_before_those_that_read() -> None:
    reader = make_rule(name="reader", expr="made > 1", threshold=None).group_id
    plain = make_rule(name="plain").group_id
    maker = make_rule(name="maker", expr="load", threshold=None, record="made").group_id
    assert in_order([(reader, 0.1), (plain, 3.0), (maker, 0.1)]) == [maker, reader, plain]
    assert in_order([(reader, 0.1), (plain, 0.1), (maker, 3.0)]) == [maker, reader, plain]


def test_groups_that_read_each_other_are_both_evaluated() -> None:
    one = make_rule(name="one", expr="b", threshold=None, record="a").group_id
    two = make_rule(name="two", expr="a", threshold=None, record="b").group_id
    assert sorted(in_order([(one, None), (two, None)])) == sorted([one, two])


def test_without_jitter_slots_are_multiples_of_the_interval() -> None:
    assert shift_of("any", 60) == 0


def test_jitter_shifts_a_group_s_slots_by_a_part_of_its_interval(portal_setting: Callable[..., None]) -> None:
    portal_setting(evaluation_jitter=True)
    shifts = {shift_of(f"group {number}", 60) for number in range(200)}
    assert len(shifts) > 40
    assert shifts <= set(range(60))
    assert shift_of("group 1", 60) == shift_of("group 1", 60)


def test_shifted_slots_are_due_in_order_without_a_gap(portal_setting: Callable[..., None]) -> None:
    portal_setting(evaluation_delay=15, evaluation_catch_up=600)
    slots = due_slots(60, minute(0) + dt.timedelta(seconds=20), minute(3) + DELAY, 20)
    assert slots.due == [minute(number) + dt.timedelta(seconds=20) for number in (1, 2)]
    assert slot_before(minute(3), 60, 20) == minute(2) + dt.timedelta(seconds=20)


def test_a_rule_notes_its_health_its_duration_and_the_series_of_its_result() -> None:
    rule = make_rule(expr="load", threshold=None)
    run(rule, gauge({"a": [1], "b": [2]}), 0, 0)
    rule.refresh_from_db()
    assert (rule.health, rule.last_series) == ("ok", 2)
    assert rule.last_duration_seconds is not None
