"""Recording rules: what they store, who reads it, and that it is what a Prometheus would have."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import promql
from alerts.evaluation.retention import forget_recorded
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import portal_source
from alerts.evaluation.tick import tick
from alerts.models import RecordedSeries, RecordedSlot, Rule, RuleGroup
from alerts.rules import edits
from alerts.rules.rule_history import delete_rule
from core.accounts.models import Workspace
from promql import Block, Hints, Matcher
from tests.alerts.groups import evaluate_group
from tests.alerts.scripted_rules import DELAY, START, flip_lines, gauge, make_rule, minute, run

pytestmark = pytest.mark.django_db


class Everything:
    """Series in memory, and beside them what the rules recorded."""

    def __init__(self, series: promql.Source) -> None:
        self._series, self._portal = series, portal_source(None)

    def select(self, matchers: Any, start_ms: int, end_ms: int, hints: Hints) -> list[Block]:
        return [
            *self._series.select(matchers, start_ms, end_ms, hints),
            *self._portal.select(matchers, start_ms, end_ms, hints),
        ]


def recording(metric: str, expr: str, group: RuleGroup | None = None, **fields: Any) -> Rule:
    """A recording rule, in a group of its own or at the end of one."""
    if group is None:
        return make_rule(expr=expr, threshold=None, record=metric, **fields)
    position = group.rules.count()
    return Rule.objects.create(
        group=group, name=f"{metric} {position}", record=metric, expr=expr, position=position, **fields
    )


def recorded(query: str, at: dt.datetime, workspaces: frozenset[str] | None = None) -> dict[str, float]:
    """A query's values at a time, by host."""
    found = promql.instant(query, portal_source(workspaces), milliseconds(at))
    rows = np.flatnonzero(found.present[:, 0])
    return {found.labels[row].get("host", ""): float(found.values[row, 0]) for row in rows}


def test_what_a_rule_records_is_read_as_a_series() -> None:
    rule = recording("load:double", "2 * load", labels={"team": "x"})
    run(rule, Everything(gauge({"a": [1, 2, 3], "b": [5, 6, 7]})), 0, 2)
    assert recorded("load:double", minute(2)) == {"a": 6, "b": 14}
    assert recorded('load:double{team="x", host="a"} offset 1m', minute(2)) == {"a": 4}
    assert recorded("sum_over_time(load:double[3m])", minute(2)) == {"a": 12, "b": 36}
    series = portal_source(None).series((Matcher("__name__", "=", "load:double"),))
    assert {"__name__": "load:double", "host": "a", "team": "x"} in series
    rule.refresh_from_db()
    assert (rule.health, rule.last_series, flip_lines(rule)) == ("ok", 2, [])


def test_a_series_that_its_rule_records_no_more_ends_at_that_slot() -> None:
    rule = recording("load:high", "load > 4")
    run(rule, Everything(gauge({"a": [5, 5, 1, 5], "b": [9, 9, 9, 9]})), 0, 3)
    assert recorded("load:high", minute(1)) == {"a": 5, "b": 9}
    assert recorded("load:high", minute(2)) == {"b": 9}
    assert recorded("load:high", minute(3)) == {"a": 5, "b": 9}


@pytest.mark.parametrize("down", [False, True])
def test_later_rules_of_a_group_see_what_earlier_ones_recorded_at_the_same_slot(down: bool) -> None:
    first = recording("load:sum", "sum(load)")
    alert = Rule.objects.create(group=first.group, name="High", expr="load:sum > 10", position=1)
    source = Everything(gauge({"a": [1, 9, 9, 1], "b": [1, 9, 9, 1]}))
    if down:
        run(first, source, 3, 3)
    else:
        run(first, source, 0, 3)
    assert flip_lines(alert) == ["1  inactive>firing 18", "3  firing>resolved 18"]
    assert recorded("load:sum", minute(1)) == {"": 18}


@pytest.mark.parametrize("down", [False, True])
def test_a_series_that_ends_is_gone_for_later_rules_at_the_same_slot(down: bool) -> None:
    first = recording("load:high", "load > 4")
    alert = Rule.objects.create(group=first.group, name="High", expr="load:high", position=1)
    source = Everything(gauge({"a": [9, 9, 1]}))
    run(first, source, 0, 0)
    run(first, source, 2 if down else 1, 2)
    assert flip_lines(alert) == ["0 a inactive>firing 9", "2 a firing>resolved 9"]


@pytest.mark.parametrize("down", [False, True])
def test_a_rule_that_reads_its_own_series_sees_the_slot_before_also_after_a_downtime(down: bool) -> None:
    count = recording("ticks", "(ticks offset 1m or vector(0)) + 1")
    source = Everything(gauge({}))
    run(count, source, 0, 0)
    run(count, source, 4 if down else 1, 4)
    assert [recorded("ticks", minute(number)) for number in range(5)] == [{"": float(n)} for n in range(1, 6)]


@pytest.mark.parametrize("down", [False, True])
def test_a_group_that_reads_what_another_records_comes_after_it(down: bool) -> None:
    reader = make_rule(name="Reader", expr="load:sum > 10", threshold=None)
    middle = recording("load:sum", "load:each + 0", name="Middle")
    recording("load:each", "sum(load)", name="First")
    source = Everything(gauge({"a": [1, 19, 19, 1]}))
    for number in [3] if down else range(4):
        tick(minute(number) + DELAY, source)
    assert flip_lines(reader) == ["1  inactive>firing 19", "3  firing>resolved 19"]
    assert RecordedSlot.objects.filter(rule_id=middle.pk).count() == 4


def test_query_offset_shifts_the_query_and_the_time_of_what_is_stored() -> None:
    rule = recording("load:late", "load")
    alert = Rule.objects.create(group=rule.group, name="High", expr="load > 5", position=1)
    RuleGroup.objects.update(query_offset_seconds=60)
    run(rule, Everything(gauge({"a": [1, 9, 1, 1]})), 0, 3)
    assert [slot.at for slot in RecordedSlot.objects.order_by("at")][-1] == minute(2)
    assert recorded("load:late", minute(1)) == {"a": 9}
    assert flip_lines(alert) == ["2 a inactive>firing 9", "3 a firing>resolved 9"]


def test_a_recording_rule_over_the_limit_records_nothing_at_that_slot() -> None:
    rule = recording("load:all", "load")
    RuleGroup.objects.update(limit=1)
    run(rule, Everything(gauge({"a": [1, 1], "b": [None, 1]})), 0, 1)
    rule.refresh_from_db()
    assert (rule.health, rule.last_error) == ("err", "exceeded limit of 1 with 2 series")
    assert RecordedSlot.objects.count() == 1


def test_two_series_under_one_label_set_are_an_error() -> None:
    rule = recording("load:all", "load", labels={"host": "same"})
    run(rule, Everything(gauge({"a": [1], "b": [2]})), 0, 0)
    rule.refresh_from_db()
    assert rule.last_error == "vector contains metrics with the same labelset after applying rule labels"


def test_labels_of_the_group_come_under_those_of_the_rule() -> None:
    rule = recording("load:all", "load", labels={"b": "rule"})
    RuleGroup.objects.update(labels={"a": "group", "b": "group"})
    alert = Rule.objects.create(group=rule.group, name="High", expr="load", position=1)
    run(rule, Everything(gauge({"x": [1]})), 0, 0)
    assert RecordedSeries.objects.get().labels == {"a": "group", "b": "rule", "host": "x"}
    assert alert.alerts.get().labels == {
        "a": "group",
        "alertname": "High",
        "b": "group",
        "host": "x",
        "severity": "warning",
    }


def test_a_workspace_s_series_are_seen_by_it_and_by_who_sees_all_and_the_portal_s_by_these_alone() -> None:
    shop = Workspace.objects.create(slug="shop", name="Shop")
    portals, shops = recording("load:a", "vector(1)"), recording("load:b", "vector(2)", workspace=shop)
    for rule in (portals, shops):
        evaluate_group(rule.group_id, START + DELAY, portal_source(None))
    assert recorded("load:a", minute(0)) == {"": 1}
    assert recorded('load:b{workspace="shop"}', minute(0)) == {"": 2}
    assert recorded("load:b", minute(0), frozenset({"shop"})) == {"": 2}
    assert recorded("load:a", minute(0), frozenset({"shop"})) == {}
    assert recorded("load:b", minute(0), frozenset({"other"})) == {}


def test_a_rule_that_is_switched_off_or_deleted_ends_its_series() -> None:
    off, gone = recording("load:off", "load"), recording("load:gone", "load")
    source = Everything(gauge({"a": [1, 1, 1]}))
    for rule in (off, gone):
        run(rule, source, 0, 0)
    Rule.objects.filter(pk=off.pk).update(enabled=False)
    run(off, source, 1, 2)
    assert recorded("load:off", minute(0)) == {"a": 1}
    assert recorded("load:off", minute(1)) == {}
    assert RecordedSlot.objects.filter(rule_id=off.pk).count() == 2
    delete_rule(gone)
    assert recorded("load:gone", minute(0)) == {"a": 1}
    assert bytes(RecordedSlot.objects.filter(metric="load:gone").order_by("-at")[0].series) == b""


def test_what_is_recorded_after_a_pause_in_a_downtime_is_kept() -> None:
    rule = recording("load:paused", "load")
    source = Everything(gauge({"a": [1, 2, 3, 4, 5, 6]}))
    run(rule, source, 0, 0)
    Rule.objects.filter(pk=rule.pk).update(paused_until=minute(2) + dt.timedelta(seconds=1))
    evaluate_group(rule.group_id, minute(5) + DELAY, source)
    assert [recorded("load:paused", minute(at)) for at in range(6)] == [
        *({"a": 1}, {}, {}),
        *({"a": 4}, {"a": 5}, {"a": 6}),
    ]


def test_a_new_rule_goes_on_with_the_series_of_one_that_is_gone() -> None:
    first = recording("load:all", "load")
    source = Everything(gauge({"a": [1, 2]}))
    run(first, source, 0, 0)
    first.delete()
    second = recording("load:all", "load", name="Second")
    run(second, source, 1, 1)
    assert RecordedSeries.objects.count() == 1
    assert recorded("sum_over_time(load:all[5m])", minute(1)) == {"a": 3}


def test_old_samples_are_forgotten(portal_setting: Callable[..., None]) -> None:
    rule = recording("load:all", "load")
    run(rule, Everything(gauge({"a": [1, 2]})), 0, 1)
    portal_setting(retention_5m_days=10)
    assert forget_recorded(minute(0.5) + dt.timedelta(days=10)) == 1
    assert recorded("load:all", minute(1)) == {"a": 2}


def test_a_series_without_samples_left_is_forgotten_too(portal_setting: Callable[..., None]) -> None:
    rule = recording("load:all", "load")
    run(rule, Everything(gauge({"a": [1, 2, 3], "b": [5, None, None], "c": [None, None, 7]})), 0, 2)
    portal_setting(retention_5m_days=10)
    assert forget_recorded(minute(1.5) + dt.timedelta(days=10)) == 2
    assert sorted(one.labels["host"] for one in RecordedSeries.objects.all()) == ["a", "c"]
    assert recorded("load:all", minute(2)) == {"a": 3, "c": 7}


def test_what_is_too_much_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = recording("load:all", "load")
    run(rule, Everything(gauge({"a": [1, 2, 3], "b": [5, 6, 7]})), 0, 2)
    monkeypatch.setattr("usage.series.source.MAX_CELLS", 5)
    with CaptureQueriesContext(connection) as queries, pytest.raises(promql.LimitError, match="6 samples"):
        recorded('sum_over_time(load:all{host="a"}[10m])', minute(2))
    assert not any('"values"' in one["sql"] for one in queries.captured_queries)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"record": "a b"}, "record: must be a metric's name: letters, digits, _ and :"),
        ({"record": "llm_provider_errors_total"}, "record: is a metric that the portal has already"),
        ({"record": "ALERTS"}, "record: is a metric that the portal has already"),
        ({"record": "a", "for_seconds": 60}, "for_seconds: belongs to an alerting rule, not to one that records"),
        (
            {"record": "a", "annotations": {"a": "b"}},
            "annotations: belongs to an alerting rule, not to one that records",
        ),
        ({"record": "a", "labels": {"__name__": "b"}}, "labels: __name__ is the metric's name"),
    ],
)
def test_a_recording_rule_that_cannot_be_is_refused_with_the_reason(fields: dict[str, Any], error: str) -> None:
    group = RuleGroup.objects.create(name="g")
    with pytest.raises(edits.RuleError) as refused:
        edits.create_rule(group, "r", edits.RuleEdit(expr="vector(1)", **fields), by=None, now=START)
    assert str(refused.value) == error


def test_what_a_rule_records_cannot_be_changed() -> None:
    rule = recording("load:all", "load")
    with pytest.raises(edits.RuleError, match="record: cannot be changed"):
        edits.update_rule(rule, edits.RuleEdit(record="load:some"), by=None, now=START)
