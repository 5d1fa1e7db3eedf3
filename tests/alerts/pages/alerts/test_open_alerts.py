"""Many open alerts of one rule are one row of the page, opened page by page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Alert, Rule, State
from alerts.pages.alerts.open_alerts import MAX_ROWS, open_alerts
from tests.alerts.scripted_rules import make_rule
from tests.people import browser_of, make_platform_people

pytestmark = pytest.mark.django_db


def open_many(rule: Rule, count: int, firing: int = 0) -> None:
    """Alerts of so many models of one provider."""
    now = timezone.now()
    Alert.objects.bulk_create(
        Alert(
            rule=rule,
            fingerprint=f"{number:032}",
            labels={"alertname": rule.name, "provider": "openai", "model": f"m{number:04}"},
            state=State.FIRING if number < firing else State.PENDING,
            value=1,
            active_at=now,
            fired_at=now if number < firing else None,
        )
        for number in range(count)
    )


def test_many_alike_are_one_row_that_says_how_many() -> None:
    open_many(make_rule(name="Unrecorded", title="Usage not recorded"), 1000, firing=12)
    open_many(make_rule(name="Few"), 2, firing=1)
    found = open_alerts(None)
    [fold] = found.folds
    assert (fold.rule.name, fold.count, fold.firing, fold.pending) == ("Unrecorded", 1000, 12, 988)
    assert (fold.common, fold.values) == ({"provider": "openai"}, {"model": 1000})
    assert [[alert.rule.name for alert in part] for part in (found.firing, found.pending)] == [["Few"], ["Few"]]
    assert found.left_out == 0


def test_the_page_stays_small_and_leads_to_all_of_them_page_by_page() -> None:
    rule = make_rule(name="Unrecorded", title="Usage not recorded")
    open_many(rule, 1000, firing=12)
    browser = browser_of(make_platform_people().admin)
    page = browser.get("/alerts/").content.decode()
    assert "1,000 alerts" in page
    assert "12 firing" in page
    assert len(page) < 30_000
    first = browser.get(f"/rules/{rule.pk}/alerts/")
    assert [alert.state for alert in first.context["alerts"].rows] == ["firing"] * 12 + ["pending"] * 13
    with CaptureQueriesContext(connection) as few:
        last = browser.get(f"/rules/{rule.pk}/alerts/", {"page": "40", "text": "M0"})
    assert [alert.labels["model"] for alert in last.context["alerts"].rows][-1] == "m0999"
    assert len(few) < 12
    assert len(browser.get(f"/rules/{rule.pk}/").content) < 60_000


def test_who_may_not_see_the_alerts_sees_no_fold() -> None:
    rule = make_rule(name="Unrecorded")
    open_many(rule, 1000)
    people = make_platform_people()
    assert open_alerts({people.elsewhere.slug}).folds == []
    assert browser_of(people.outsider).get(f"/rules/{rule.pk}/alerts/").context["alerts"].total == 0


def test_single_alerts_are_bounded_too() -> None:
    for number in range(30):
        open_many(make_rule(name=f"Rule {number}"), 3)
    found = open_alerts(None)
    assert (len(found.pending), found.left_out) == (MAX_ROWS, 90 - MAX_ROWS)


def test_of_very_many_rules_with_many_alerts_the_worst_are_shown() -> None:
    for number in range(MAX_ROWS + 3):
        open_many(make_rule(name=f"Rule{number:02}"), 6 + number, firing=number % 2)
    found = open_alerts(None)
    assert len(found.folds) == MAX_ROWS
    assert (found.more_rules, found.left_out) == (3, 6 + 8 + 10)
    assert found.folds[0].rule.name == f"Rule{MAX_ROWS + 1:02}"
    page = browser_of(make_platform_people().admin).get("/alerts/").content.decode()
    assert "24 more, of\n      3 more rules with many among them" in page
