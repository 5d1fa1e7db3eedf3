"""What pages read: order, filters, counts, and the number of statements."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from alerts import queries
from alerts.evaluation.retention import forget_unfired
from alerts.models import Alert, Flip, RuleChange
from alerts.notify.acknowledge import acknowledge, unacknowledge
from alerts.notify.channels import create_channel
from alerts.queries import HistoryFilter
from alerts.rules.edits import RuleEdit, update_rule
from tests.alerts.scripted_rules import gauge, make_rule, minute, only_alert, run

pytestmark = pytest.mark.django_db


def test_firing_is_sorted_by_severity_then_age_and_counted() -> None:
    for name, severity, first in (("New", "warning", 1), ("Old", "warning", 0), ("Worst", "critical", 2)):
        rule = make_rule(name=name, severity=severity)
        run(rule, gauge({"a": [0] * first + [9] * 3}), 0, 2)
    run(make_rule(name="Soon", for_seconds=600), gauge({"a": [9]}), 0, 0)
    assert [alert.rule.name for alert in queries.firing()] == ["Worst", "Old", "New"]
    assert [alert.rule.name for alert in queries.pending()] == ["Soon"]
    counts = queries.counts()
    assert (counts.critical, counts.warning, counts.info, counts.pending, counts.firing) == (1, 2, 0, 1, 3)


@pytest.fixture
def past() -> None:
    """Two rules' alerts: one resolved at minute 1, one that fires since minute 2, one that never fired."""
    run(make_rule(name="Load", severity="critical"), gauge({"a": [9, 0]}), 0, 1)
    run(make_rule(name="Queue", annotations={"summary": "Queue of {{ $labels.host }}"}), gauge({"b": [0, 0, 9]}), 0, 2)
    run(make_rule(name="Never", for_seconds=600), gauge({"c": [9, 0]}), 0, 1)


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["Queue", "Load"]),
        ({"severity": "critical"}, ["Load"]),
        ({"state": "firing"}, ["Queue"]),
        ({"label": "host=a"}, ["Load"]),
        ({"label": "host=c"}, []),
        ({"text": "queue of"}, ["Queue"]),
        ({"since": minute(2)}, ["Queue"]),
        ({"until": minute(1)}, ["Load"]),
        ({"since": minute(1), "until": minute(9)}, ["Queue", "Load"]),
    ],
)
def test_history_holds_what_fired_newest_first_and_filters(wanted: dict[str, Any], names: list[str]) -> None:
    page = queries.history(HistoryFilter(**wanted))
    assert [alert.rule.name for alert in page.alerts] == names


def test_history_comes_in_pages() -> None:
    run(make_rule(), gauge({f"h{number}": [9] for number in range(queries.PAGE + 1)}), 0, 0)
    first, second = queries.history(HistoryFilter()), queries.history(HistoryFilter(), 2)
    assert (len(first.alerts), first.has_next, first.has_previous) == (queries.PAGE, True, False)
    assert (len(second.alerts), second.has_next, second.has_previous) == (1, False, True)


def test_an_alert_is_shown_with_its_flips() -> None:
    rule = make_rule(for_seconds=60)
    run(rule, gauge({"a": [9, 9, 0, 9, 9]}), 0, 4)
    _, now = Alert.objects.order_by("active_at")
    detail = queries.alert_detail(now.pk)
    assert [flip.to_state for flip in detail.flips] == ["pending", "firing"]


def test_a_rule_is_shown_with_its_condition_and_edits(author: User) -> None:
    rule = make_rule(expr="100 * load > $threshold")
    update_rule(rule, RuleEdit(threshold=7), by=author, now=minute(0))
    detail = queries.rule_detail(rule.pk, now=minute(5))
    assert detail.expr == "100 * load > 7"
    assert detail.comparison is not None
    assert (detail.comparison.measured, detail.comparison.number) == ("100 * load", 7)
    assert detail.changes == list(RuleChange.objects.all())


def test_statements_stay_as_many_however_many_rows(django_assert_num_queries: Callable[..., Any]) -> None:
    for number in range(12):
        create_channel("slack", f"channel {number}", {"url": "https://hooks.slack.com/services/x"})
        run(make_rule(), gauge({"a": [9, 0], "b": [9, 9]}), 0, 1)
    with django_assert_num_queries(1):
        assert len(queries.firing()) == 12
    with django_assert_num_queries(1):
        assert len(queries.history(HistoryFilter()).alerts) == 24
    with django_assert_num_queries(2):
        assert len(queries.rule_list()) > 12
    with django_assert_num_queries(1):
        assert len(queries.channel_list()) == 12
    resolved = Alert.objects.filter(state="resolved")[0]
    with django_assert_num_queries(4):
        detail = queries.alert_detail(resolved.pk)
    assert len(detail.deliveries) > 3


def test_an_alert_is_taken_by_one_person_and_can_be_given_back(author: User) -> None:
    other = User.objects.create_user("bob")
    rule = make_rule()
    run(rule, gauge({"a": [9, 9, 0]}), 0, 0)
    alert = only_alert(rule)
    assert acknowledge(alert, by=author, now=minute(1))
    assert not acknowledge(alert, by=other, now=minute(1))
    run(rule, gauge({"a": [9, 9, 0]}), 1, 1)
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.acknowledged_at) == (author, minute(1))
    unacknowledge(alert)
    assert acknowledge(alert, by=other, now=minute(2))


def test_what_ended_cannot_be_taken(author: User) -> None:
    rule = make_rule()
    run(rule, gauge({"a": [9, 0]}), 0, 1)
    assert not acknowledge(only_alert(rule), by=author, now=minute(2))


def test_old_alerts_that_never_fired_are_forgotten(portal_setting: Callable[..., None]) -> None:
    portal_setting(retention_records_days=30)
    run(make_rule(for_seconds=600), gauge({f"h{number}": [9, 0, 9] for number in range(5)}), 0, 2)
    run(make_rule(), gauge({"a": [9, 0]}), 0, 1)
    month = dt.timedelta(days=30)
    assert forget_unfired(minute(1) + month) == 0
    assert forget_unfired(minute(1) + month + dt.timedelta(seconds=1), batch=2) == 5
    assert sorted(Alert.objects.values_list("state", flat=True)) == ["pending"] * 5 + ["resolved"]
    assert Flip.objects.count() == 7
