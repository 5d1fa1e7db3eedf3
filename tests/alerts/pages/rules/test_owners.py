"""Rules, channels, runbooks and budgets of a workspace are its members' only; what is the portal's is changed by who
operates all of it."""

import datetime as dt
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts import queries
from alerts.evaluation.series import PortalSource
from alerts.evaluation.tick import tick
from alerts.models import Alert, Channel, Delivery, Rule, RuleGroup
from alerts.notify.channels import create_channel
from alerts.rules.edits import RuleEdit, RuleError, create_rule, update_rule
from alerts.runbooks.edits import create_runbook
from core.accounts.models import Workspace
from tests.people import People, browser_of, make_people
from tests.records import Sender, call
from usage.models import Budget

pytestmark = pytest.mark.django_db
SLACK = {"url": "https://hooks.slack.com/services/T/B/x"}
CALLS = "sum by (model) (increase(llm_tokens_total[5m])) > 0"


@pytest.fixture
def people() -> People:
    return make_people()


def rule_of(workspace: Workspace | None, name: str = "Own", expr: str = "up > 0", **fields: Any) -> Rule:
    group, _ = RuleGroup.objects.get_or_create(name="g", defaults={"interval_seconds": 60})
    return create_rule(group, name, RuleEdit(expr=expr, **fields), by=None, now=timezone.now(), workspace=workspace)


def test_two_teams_see_nothing_of_each_other_and_the_platform_sees_all(people: People) -> None:
    rule = rule_of(people.production, title="Secret watch")
    channel = create_channel("slack", "secret-channel", SLACK, workspace=people.production)
    runbook = create_runbook("secret", "Secret steps", "x", by=None, now=timezone.now(), workspace=people.production)
    Budget.objects.create(team="secret-team", limit_usd=1, workspace=people.production)
    now = timezone.now()
    alert = Alert.objects.create(
        rule=rule,
        severity=rule.severity,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        fingerprint="f",
        labels={"workspace": "production"},
        annotations={"summary": "Secret alert"},
        state="firing",
        value=1,
        active_at=now,
        fired_at=now,
    )
    objects = [
        f"/rules/{rule.pk}/",
        f"/channels/{channel.pk}/",
        f"/runbooks/{runbook.slug}/",
        f"/alerts/{alert.pk}/",
        f"/alerts/{alert.pk}/figure",
    ]
    lists = ["/rules/", "/channels/", "/runbooks/", "/alerts/", "/cost/", "/palette.json", "/explore/", "/"]
    for path in objects:
        for person in (people.owner, people.teammate, people.admin):
            assert browser_of(person).get(path).status_code in (200, 422), (path, person)
        assert browser_of(people.outsider).get(path).status_code == 404, path
    for path in lists:
        assert "secret" not in browser_of(people.outsider).get(path).content.decode().lower(), path
    for path, text in (("/rules/", "Secret watch"), ("/channels/", "secret-channel"), ("/runbooks/", "Secret steps")):
        for person in (people.teammate, people.admin):
            assert text in browser_of(person).get(path).content.decode(), (path, person)


def test_a_workspaces_operators_change_its_things_and_nobody_elses_do(people: People) -> None:
    rule = rule_of(people.production)
    channel = create_channel("slack", "c", SLACK, workspace=people.production)
    runbook = create_runbook("r", "R", "x", by=None, now=timezone.now(), workspace=people.production)
    budget = Budget.objects.create(team="t", limit_usd=1, workspace=people.production)
    forms = [
        f"/rules/{rule.pk}/delete/",
        f"/channels/{channel.pk}/edit/",
        f"/channels/{channel.pk}/delete/",
        f"/runbooks/{runbook.slug}/edit/",
        f"/cost/budgets/{budget.pk}/",
    ]
    for path in forms:
        expected = {people.owner: 200, people.teammate: 403, people.outsider: 404, people.admin: 200}
        assert {person: browser_of(person).get(path).status_code for person in expected} in (
            expected,
            {**expected, people.outsider: 403},  # it says that an operator is needed before it looks for the object
        ), path
    assert browser_of(people.outsider).post(f"/rules/{rule.pk}/enable", {"to": "off"}).status_code == 404
    assert browser_of(people.teammate).post(f"/rules/{rule.pk}/enable", {"to": "off"}).status_code == 403
    assert browser_of(people.owner).post(f"/rules/{rule.pk}/enable", {"to": "off"}).status_code == 302
    rule.refresh_from_db()
    assert not rule.enabled


def test_what_belongs_to_the_whole_portal_is_changed_by_who_operates_all_of_it(people: People) -> None:
    rule = rule_of(None)
    for person, expected in ((people.owner, 403), (people.outsider, 403), (people.admin, 302)):
        assert browser_of(person).post(f"/rules/{rule.pk}/enable", {"to": "off"}).status_code == expected
    people.elsewhere.memberships.create(user=people.owner, role="operator")
    assert browser_of(people.owner).post(f"/rules/{rule.pk}/enable", {"to": "on"}).status_code == 302


def test_a_new_thing_belongs_to_a_workspace_that_its_maker_operates(people: People) -> None:
    owner = browser_of(people.owner)
    form = {"name": "c", "config_url": SLACK["url"], "send_resolved": "on", "enabled": "on"}
    assert owner.post("/channels/new/slack/", form).status_code == 422
    assert owner.post("/channels/new/slack/", {**form, "workspace": people.elsewhere.pk}).status_code == 422
    assert owner.post("/channels/new/slack/", {**form, "workspace": people.production.pk}).status_code == 302
    assert Channel.objects.get().workspace == people.production
    assert browser_of(people.admin).post("/channels/new/slack/", form).status_code == 302
    assert Channel.objects.filter(name="c").count() == 2


def test_a_rule_notifies_its_owners_channels_and_may_choose_the_portals(people: People) -> None:
    ours, theirs, portals = (
        create_channel("slack", name, SLACK, workspace=workspace)
        for name, workspace in (("ours", people.production), ("theirs", people.elsewhere), ("portal", None))
    )
    every = [ours, theirs, portals]
    rule, shared = rule_of(people.production), rule_of(None, "Shared")
    assert queries.recipients(rule, every) == [ours]
    assert queries.recipients(shared, every) == [portals]
    for one, allowed in ((rule, [ours, portals]), (shared, [portals])):
        for channel in every:
            refused = nullcontext() if channel in allowed else pytest.raises(RuleError, match="channels")
            with refused:
                update_rule(one, RuleEdit(), by=None, now=timezone.now(), channels=[channel])


@pytest.mark.usefixtures("fixed_time")
def test_a_workspaces_rule_is_evaluated_over_its_records_only(sender: Sender, fixed_time: dt.datetime) -> None:
    production = Workspace.objects.get(slug="production")
    elsewhere = Workspace.objects.create(slug="elsewhere", name="Elsewhere")
    mine, others, portals = (
        rule_of(workspace, name, CALLS)
        for workspace, name in ((production, "Mine"), (elsewhere, "Others"), (None, "Portals"))
    )
    channel = create_channel("slack", "ours", SLACK, workspace=production)
    at = fixed_time
    assert sender.post([call(at - dt.timedelta(seconds=s)) for s in (30, 60, 90)]).status_code == 200
    now = at + dt.timedelta(minutes=1)
    RuleGroup.objects.update(evaluated_until=now - dt.timedelta(minutes=2))
    assert tick(now, PortalSource(None, now.timestamp())) >= 1
    found = {alert.rule_id: alert.labels for alert in Alert.objects.all()}
    assert set(found) == {mine.pk, portals.pk}
    assert found[mine.pk]["workspace"] == "production"
    assert "workspace" not in found[portals.pk]
    assert others.pk not in found
    assert {one.channel_id for one in Delivery.objects.filter(alert__rule=mine)} == {channel.pk}
    assert not Delivery.objects.filter(alert__rule=portals).exists()


def test_the_lists_ask_no_more_where_there_are_more_owners(people: People) -> None:
    owner, counts = browser_of(people.owner), []
    for path in ("/rules/", "/channels/", "/runbooks/", "/alerts/"):
        owner.get(path)
        for number in (1, 5):
            for one in range(number):
                rule_of(people.production, f"{path}{number}{one}")
                create_channel("slack", f"{path}{number}{one}", SLACK, workspace=people.production)
            with CaptureQueriesContext(connection) as asked:
                owner.get(path)
            counts.append(len(asked))
        assert counts[-1] == counts[-2], path
