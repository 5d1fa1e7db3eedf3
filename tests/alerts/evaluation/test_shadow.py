"""Shadow rules: evaluated as any other, and nobody hears of them."""

import re

import pytest
from django.utils import timezone

import promql
from alerts import queries
from alerts.evaluation.series import PortalSource
from alerts.incidents.models import Incident
from alerts.models import Alert, Delivery, Rule
from alerts.notify.channels import create_channel
from alerts.pages.rules.comparison import compared
from alerts.queries import HistoryFilter
from tests.alerts.scripted_rules import flip_lines, gauge, make_rule, milliseconds, minute, run
from tests.people import browser_of, make_platform_people

pytestmark = pytest.mark.django_db


def test_a_shadow_has_alerts_and_nobody_is_notified_of_them() -> None:
    create_channel("slack", "#all", {"url": "https://hooks.slack.com/services/T000/B000/x"})
    shadow, live = make_rule(name="Load shadow", shadow=True), make_rule(name="Load")
    for rule in (shadow, live):
        run(rule, gauge({"a": [9, 0]}), 0, 1)
    assert flip_lines(shadow) == ["0 a inactive>firing 9", "1 a firing>resolved 9"]
    assert {delivery.alert.rule.name for delivery in Delivery.objects.all()} == {"Load"}
    assert Incident.objects.count() == 1


def test_a_shadow_s_alerts_are_on_no_list_and_no_series() -> None:
    shadow = make_rule(shadow=True)
    run(shadow, gauge({"a": [9]}), 0, 0)
    assert queries.firing() == []
    assert queries.counts().firing == 0
    assert queries.history(HistoryFilter()).alerts == []
    assert len(queries.history(HistoryFilter(rule_id=shadow.pk)).alerts) == 1
    found = promql.instant(promql.parse("ALERTS"), PortalSource(now=minute(1).timestamp()), milliseconds(minute(0)))
    assert found.labels == []


def test_what_fired_before_a_rule_became_a_shadow_is_ended_for_those_who_know_of_it() -> None:
    create_channel("slack", "#all", {"url": "https://hooks.slack.com/services/T000/B000/x"})
    rule = make_rule()
    run(rule, gauge({"a": [9, 9, 0]}), 0, 0)
    Rule.objects.update(shadow=True)
    run(rule, gauge({"a": [9, 9, 0]}), 1, 2)
    assert [delivery.lead_state for delivery in Delivery.objects.order_by("id")] == ["firing", "resolved"]
    assert Incident.objects.get().closed_at is not None


def test_two_rules_are_compared_by_labels_and_time() -> None:
    values: dict[str, list[float | None]] = {"a": [6, 9, 1, 6, 1], "b": [6, 6, 1, 1, 1]}
    shadow, live = make_rule(name="Load shadow", threshold=8, shadow=True), make_rule(name="Load", severity="critical")
    for rule in (shadow, live):
        run(rule, gauge(values), 0, 4)
    one, other = compared(shadow, live, None, minute(5))
    assert (len(one.alerts), len(one.only), one.seconds) == (1, 0, 60)
    assert (len(other.alerts), len(other.only), other.seconds) == (3, 2, 300)
    assert {alert.labels["host"] for alert in other.only} == {"a", "b"}


def test_the_page_compares_with_the_rule_whose_name_it_begins_with() -> None:
    people = make_platform_people()
    shadow, live = make_rule(name="Load shadow", shadow=True), make_rule(name="Load")
    make_rule(name="Other")
    now = timezone.now()
    Alert.objects.create(
        rule=live, fingerprint="f", labels={"host": "web-7"}, state="firing", value=9, active_at=now, fired_at=now
    )
    browser = browser_of(people.admin)
    page = re.sub(r"\s+", " ", browser.get(f"/rules/{shadow.pk}/compare/").content.decode())
    assert f'<option value="{live.pk}" selected>Load</option>' in page
    assert "web-7" in page
    assert f"/rules/{shadow.pk}/compare/" in browser.get("/rules/").content.decode()
    assert browser.get("/rules/0/compare/").status_code == 404


def test_a_rule_s_shadow_is_begun_from_its_page() -> None:
    people = make_platform_people()
    rule = make_rule(name="Load")
    browser = browser_of(people.admin)
    address = f"/rules/new/?copy={rule.pk}&amp;shadow=1"
    assert address in browser.get(f"/rules/{rule.pk}/").content.decode()
    page = browser.get(address.replace("&amp;", "&")).content.decode()
    assert 'value="Load shadow"' in page
    assert re.search(r'name="shadow"[^>]* checked', page)
