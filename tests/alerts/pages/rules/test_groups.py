"""Groups of rules on their pages, and what the list says of recording rules and of selectors that match nothing."""

import datetime as dt
import re

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, Rule, RuleGroup
from tests.alerts.scripted_rules import make_rule
from tests.people import People, browser_of, make_people, make_platform_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    return make_platform_people()


def test_a_group_is_made_changed_and_deleted(people: People) -> None:
    browser = browser_of(people.admin)
    assert browser.post("/rules/groups/new/", {"name": "g", "interval_seconds": "1m"}).status_code == 302
    group = RuleGroup.objects.get(name="g")
    assert (group.interval_seconds, group.limit, group.labels) == (60, 0, {})
    given = {"name": "h", "interval_seconds": "30s", "query_offset_seconds": "2m", "limit": "5", "labels": "team=x"}
    assert browser.post(f"/rules/groups/{group.pk}/", given).status_code == 302
    group.refresh_from_db()
    assert (group.name, group.interval_seconds, group.query_offset_seconds) == ("h", 30, 120)
    assert (group.limit, group.labels) == (5, {"team": "x"})
    assert "every 30 s" in " ".join(browser.get("/rules/").content.decode().split()) or not group.rules.exists()
    assert browser.post(f"/rules/groups/{group.pk}/delete").status_code == 302
    assert not RuleGroup.objects.filter(pk=group.pk).exists()


def test_what_is_wrong_stands_at_its_field(people: People) -> None:
    answer = browser_of(people.admin).post("/rules/groups/new/", {"name": "g", "interval_seconds": "2s"})
    assert answer.status_code == 422
    assert "must be between 5 and 86400" in answer.content.decode()


def test_a_group_with_rules_stays(people: People) -> None:
    group = make_rule().group
    browser_of(people.admin).post(f"/rules/groups/{group.pk}/delete")
    assert RuleGroup.objects.filter(pk=group.pk).exists()


def test_who_operates_one_workspace_changes_no_group() -> None:
    group = RuleGroup.objects.create(name="g")
    browser = browser_of(make_people().owner)
    assert browser.get(reverse("rule-group", args=[group.pk])).status_code in (403, 404)


def test_the_list_and_the_page_say_what_a_recording_rule_records(people: People) -> None:
    rule = make_rule(name="made", expr="load", threshold=None, record="load:all", health="ok", last_series=3)
    browser = browser_of(people.admin)
    assert "load:all" in browser.get("/rules/").content.decode()
    text = " ".join(browser.get(f"/rules/{rule.pk}/").content.decode().split())
    assert "Records <code>load:all</code>" in text


def test_a_misspelt_metric_is_named_with_the_one_that_was_meant(people: People) -> None:
    make_rule(name="typo", expr="llm_provder_errors_total > 1", threshold=None)
    unmatched = [{"selector": "llm_provder_errors_total", "kind": "unknown", "like": "llm_provider_errors_total"}]
    Rule.objects.filter(name="typo").update(unmatched=unmatched)
    browser = browser_of(people.admin)
    page = browser.get(f"/rules/{Rule.objects.get(name='typo').pk}/").content.decode()
    assert "perhaps you mean <code>llm_provider_errors_total</code>" in page
    Rule.objects.update(last_evaluated_at="2026-01-01T00:00:00Z", last_duration_seconds=0.1)
    assert "a selector matches nothing" in browser.get("/rules/").content.decode()


def test_a_recording_rule_is_made_by_the_form(people: People) -> None:
    group = RuleGroup.objects.create(name="g")
    given = {
        "name": "n",
        "group": group.pk,
        "expr": "vector(1)",
        "record": "one",
        "severity": "warning",
        "for_seconds": "",
    }
    answer = browser_of(people.admin).post("/rules/new/", given)
    assert answer.status_code == 302, answer.content.decode()
    assert Rule.objects.get(name="n").record == "one"


def test_recovery_missing_data_and_flapping_are_chosen_in_the_form_and_a_misfit_is_told(people: People) -> None:
    rule = make_rule(name="load", expr="load > $threshold", threshold=5)
    browser, page = browser_of(people.admin), f"/rules/{rule.pk}/"
    given = {
        "expr": rule.expr,
        "threshold": "5",
        "severity": "warning",
        "recovery_threshold": "3",
        "no_data": "alert",
        "on_error": "ok",
        "flap_limit": "4",
    }
    assert browser.post(page, given).status_code == 302
    rule.refresh_from_db()
    assert (rule.recovery_threshold, rule.no_data, rule.on_error, rule.flap_limit) == (3, "alert", "ok", 4)
    shown = browser.get(page).content.decode()
    assert 'name="recovery_threshold" value="3"' in shown
    refused = browser.post(page, {**given, "recovery_threshold": "7"})
    assert refused.status_code == 422
    assert "must be below the threshold" in refused.content.decode()
    assert browser.post(page, {**given, "recovery_threshold": "", "min_events": "9"}).status_code == 422


def test_what_flaps_is_named_on_the_rule_s_page(people: People) -> None:
    rule = make_rule(name="load")
    now = timezone.now()
    for minutes in range(6):
        at = now - dt.timedelta(minutes=5 * minutes)
        Alert.objects.create(
            rule=rule,
            fingerprint="f",
            labels={"alertname": "load", "host": "web-7"},
            state="resolved",
            value=1,
            active_at=at,
            fired_at=at,
        )
    shown = browser_of(people.admin).get(f"/rules/{rule.pk}/").content.decode()
    assert "Flapping" in shown
    assert re.search(r"web-7</span>\s+began to fire\s+6 times", shown)


def test_thresholds_by_label_set_are_rows_of_the_form(people: People) -> None:
    rule = make_rule(name="load", expr="load > $threshold", threshold=5)
    browser, page = browser_of(people.admin), f"/rules/{rule.pk}/"
    shown = browser.get(page).content.decode()
    assert 'name="thresholds-1-match"' in shown
    given = {
        "expr": rule.expr,
        "threshold": "5",
        "severity": "warning",
        "thresholds-TOTAL_FORMS": "2",
        "thresholds-INITIAL_FORMS": "0",
        "thresholds-0-match": 'host=~"web.*"',
        "thresholds-0-threshold": "8",
        "thresholds-0-for_seconds": "10m",
        "thresholds-0-severity": "critical",
    }
    assert browser.post(page, given).status_code == 302
    rule.refresh_from_db()
    kept = {"match": 'host=~"web.*"', "threshold": 8.0, "for_seconds": 600, "severity": "critical"}
    assert rule.thresholds == [kept]
    shown = browser.get(page).content.decode()
    assert "Other thresholds for some label sets (1)" in shown
    assert 'value="10m"' in shown
    refused = browser.post(page, {**given, "thresholds-0-threshold": ""})
    assert refused.status_code == 422
    assert "This row needs a threshold." in refused.content.decode()
    # A form without the table leaves it as it is; one with an emptied row removes it.
    assert browser.post(page, {"expr": rule.expr, "threshold": "6", "severity": "warning"}).status_code == 302
    rule.refresh_from_db()
    assert rule.thresholds == [kept]
    assert browser.post(page, {**given, "thresholds-0-match": ""}).status_code == 302
    rule.refresh_from_db()
    assert rule.thresholds == []


def test_a_rule_is_cloned_into_the_form_of_a_new_one(people: People) -> None:
    table = [{"match": "host=a", "threshold": 9}]
    rule = make_rule(name="load", expr="load > $threshold", threshold=5, for_seconds=120, thresholds=table)
    browser = browser_of(people.admin)
    assert f"/rules/new/?copy={rule.pk}" in browser.get(f"/rules/{rule.pk}/").content.decode()
    shown = browser.get(f"/rules/new/?copy={rule.pk}").content.decode()
    assert 'value="load copy"' in shown
    assert 'name="thresholds-0-match" value="host=a"' in shown
    assert 'name="for_seconds" value="2m"' in shown
    for nobody in ("0", "x", "9" * 30):
        assert browser.get(f"/rules/new/?copy={nobody}").status_code == 404


def test_what_is_typed_is_compared_with_the_saved_version(people: People) -> None:
    rule = make_rule(name="load", expr="vector(7) > $threshold", threshold=9)
    browser, page = browser_of(people.admin), f"/rules/{rule.pk}/"
    typed = {"expr": rule.expr, "threshold": "5", "severity": "warning", "preview": "1"}
    shown = re.sub(r"\s+", " ", browser.post(page, typed, headers={"HX-Request": "true"}).content.decode())
    assert "Saved version 1" in shown
    assert '<td>Alerts</td><td class="num">0</td><td class="num">1</td>' in shown
    assert '<td>Only there</td><td class="num">0</td><td class="num">1</td>' in shown
    same = browser.post(page, {**typed, "threshold": "9"}, headers={"HX-Request": "true"}).content.decode()
    assert "Saved version" not in same


def test_a_group_without_rules_is_listed_for_those_who_may_change_it(people: People) -> None:
    group = RuleGroup.objects.create(name="still empty")
    page = browser_of(people.admin).get("/rules/").content.decode()
    assert f"/rules/groups/{group.pk}/" in page
    assert "It has no rules yet." in page
    outsider = browser_of(people.outsider).get("/rules/").content.decode()
    assert "still empty" not in outsider
