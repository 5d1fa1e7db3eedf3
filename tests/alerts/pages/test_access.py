"""Who sees and changes the pages of alerts, rules, channels and runbooks, and what all of them have in common."""

import datetime as dt

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Rule, RuleGroup, Runbook
from alerts.notify import channels
from tests.alerts.pages.samples import deliver, fire
from tests.alerts.scripted_rules import make_rule
from tests.people import People, browser_of

pytestmark = pytest.mark.django_db

SLACK = "https://hooks.slack.com/services/T000/B000/very-secret"


def test_everybody_with_a_login_reads_and_a_visitor_logs_in(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    paths = [
        "/alerts/",
        f"/alerts/{alert.pk}/",
        f"/alerts/{alert.pk}/figure",
        "/rules/",
        f"/rules/{rule.pk}/",
        "/channels/",
        f"/channels/{channel.pk}/",
        "/runbooks/",
        "/runbooks/usage-not-recorded/",
    ]
    for path in paths:
        for person in (people.owner, people.teammate, people.admin):
            assert browser_of(person).get(path).status_code == 200, (path, person)
        # An alert of the whole portal may tell of workspaces that a stranger to them should not hear of.
        expected = 404 if path.startswith(f"/alerts/{alert.pk}/") else 200
        assert browser_of(people.outsider).get(path).status_code == expected, path
        assert Client().get(path).status_code == 302, path


def test_only_operators_change(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    forms = [
        "/rules/new/",
        f"/rules/{rule.pk}/delete/",
        "/channels/new/slack/",
        f"/channels/{channel.pk}/edit/",
        f"/channels/{channel.pk}/delete/",
        "/runbooks/new/",
        "/runbooks/usage-not-recorded/edit/",
    ]
    for path in forms:
        assert browser_of(people.owner).get(path).status_code == 200, path
        assert browser_of(people.teammate).get(path).status_code == 403, path
        assert Client().get(path).status_code == 302, path
    writes = [
        f"/alerts/{alert.pk}/acknowledge",
        f"/alerts/{alert.pk}/give-back",
        f"/rules/{rule.pk}/enable",
        f"/rules/{rule.pk}/undo/1",
        f"/channels/{channel.pk}/test",
        "/runbooks/usage-not-recorded/restore/1",
    ]
    for path in writes:
        assert browser_of(people.owner).get(path).status_code == 405, path
        assert browser_of(people.teammate).post(path).status_code == 403, path
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(people.owner)
        assert strict.post(path).status_code == 403, path
    assert browser_of(people.teammate).post(f"/rules/{rule.pk}/", {}).status_code == 403


@pytest.mark.parametrize("path", ["/alerts/", "/rules/", "/channels/", "/runbooks/", "/channels/{channel}/"])
def test_queries_stay_flat_as_rows_grow(people: People, default_rules: None, path: str) -> None:
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    owner = browser_of(people.owner)

    def grow(start: int) -> None:
        for number in range(start, start + 4):
            deliver(fire(make_rule(), model=f"m{number}"), channel, "failed")
            channels.create_channel("slack", f"#c{number}", {"url": SLACK})
            Runbook.objects.create(slug=f"r{number}", title="r").versions.create(number=1, text="x")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert owner.get(path.format(channel=channel.pk)).status_code == 200
        return len(found)

    grow(0)
    few = queries()
    grow(10)
    assert queries() == few


def test_what_is_not_there_is_404(people: People, rule: Rule) -> None:
    owner = browser_of(people.owner)
    for path in ("/alerts/999/", "/rules/999/", "/channels/999/", "/channels/new/pigeon/", "/runbooks/nothing/"):
        assert owner.get(path).status_code == 404, path


@pytest.mark.parametrize("path", ["/", "/alerts/", "/rules/"])
def test_a_group_that_stands_still_has_a_banner(people: People, default_rules: None, path: str) -> None:
    banner = "Rules of group llm_usage are not evaluated"
    now = timezone.now()
    RuleGroup.objects.update(evaluated_until=now)
    viewer = browser_of(people.teammate)
    assert banner not in viewer.get(path).content.decode()
    RuleGroup.objects.filter(name="llm_usage").update(evaluated_until=now - dt.timedelta(minutes=10))
    assert banner in viewer.get(path).content.decode()
