"""Django's admin of rules and alerts."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from alerts.models import Channel, Delivery, Rule, RuleGroup
from alerts.notify.channels import create_channel
from tests.alerts.scripted_rules import gauge, make_rule, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("default_rules")]


@pytest.fixture
def staff(client: Client) -> Client:
    User.objects.create_superuser("root", password="x")
    client.login(username="root", password="x")
    return client


def list_of_rules(**first: str) -> dict[str, str]:
    """The list's form as the page would send it, with changes to its first row."""
    data = {"form-TOTAL_FORMS": "10", "form-INITIAL_FORMS": "10", "_save": "Save"}
    for number, rule in enumerate(Rule.objects.all()):
        data |= {
            f"form-{number}-id": str(rule.pk),
            f"form-{number}-threshold": f"{rule.threshold}",
            f"form-{number}-for_seconds": str(rule.for_seconds),
            f"form-{number}-severity": rule.severity,
            f"form-{number}-enabled": "on" if rule.enabled else "",
        }
    return data | {f"form-0-{name}": value for name, value in first.items()}


def test_thresholds_changed_in_the_list_are_in_the_history(staff: Client) -> None:
    first = Rule.objects.all()[0]
    assert staff.post("/admin/alerts/rule/", list_of_rules(threshold="42", for_seconds="7")).status_code == 302
    first.refresh_from_db()
    assert (first.threshold, first.for_seconds, first.version) == (42, 7, 2)
    change = first.changes.get()
    assert change.author_name == "root"
    assert set(change.fields) == {"threshold", "for_seconds"}
    assert Rule.objects.filter(version=2).count() == 1


def test_a_threshold_that_a_rule_needs_cannot_be_emptied_in_the_list(staff: Client) -> None:
    answer = staff.post("/admin/alerts/rule/", list_of_rules(threshold=""))
    assert answer.status_code == 200
    assert b"a threshold is needed" in answer.content
    assert not Rule.objects.filter(threshold=None).exists()


def test_a_rule_s_page_writes_history_too_and_refuses_what_is_not_promql(staff: Client) -> None:
    rule = Rule.objects.get(name="HighProviderCost")
    channel = create_channel("slack", "ops", {"url": "https://hooks.slack.com/services/x"})
    data = {
        "title": rule.title,
        "expr": rule.expr,
        "threshold": "250",
        "unit": rule.unit,
        "for_seconds": "300",
        "keep_firing_seconds": "0",
        "min_events": "0",
        "no_data": "ok",
        "on_error": "keep",
        "flap_limit": "0",
        "severity": "warning",
        "labels": "{}",
        "annotations": "{}",
        "enabled": "on",
        "runbook": str(rule.runbook_id),
        "channels": [str(channel.pk)],
        "channel_kinds": "[]",
    }
    assert (
        b"not PromQL" in staff.post(f"/admin/alerts/rule/{rule.pk}/change/", {**data, "expr": "sum($threshold"}).content
    )
    assert staff.post(f"/admin/alerts/rule/{rule.pk}/change/", data).status_code == 302
    rule.refresh_from_db()
    assert rule.threshold == 250
    assert set(rule.changes.get().fields) == {"threshold", "annotations", "channels"}
    assert list(rule.channels.all()) == [channel]


def test_every_page_of_the_admin_opens(staff: Client) -> None:
    create_channel("slack", "ops", {"url": "https://hooks.slack.com/services/s3cret"})
    rule = make_rule()
    run(rule, gauge({"a": [9]}), 0, 0)
    assert Delivery.objects.exists()
    for model in apps.get_app_config("alerts").get_models():
        assert admin.site.is_registered(model), model
        path = f"/admin/alerts/{model._meta.model_name}/"
        assert staff.get(path).status_code == 200, path
        row = model._default_manager.first()
        if row is not None:
            page = staff.get(f"{path}{row.pk}/change/")
            assert page.status_code == 200, path
            assert b"s3cret" not in page.content


def test_deleting_a_channel_in_the_admin_drops_what_it_still_had_to_send(staff: Client) -> None:
    channel = create_channel("slack", "ops", {"url": "https://hooks.slack.com/services/x"})
    run(make_rule(), gauge({"a": [9]}), 0, 0)
    staff.post(f"/admin/alerts/channel/{channel.pk}/delete/", {"post": "yes"})
    assert not Channel.objects.exists()
    assert Delivery.objects.get().state == "skipped"


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("switch_on", "enabled", True),
        ("switch_off", "enabled", False),
        ("pause_a_day", "paused_until", "later"),
        ("go_on", "paused_until", None),
        ("notify_channel", "channels", ["hook"]),
        ("notify_all_channels", "channels", []),
    ],
)
def test_an_action_changes_many_rules_each_with_its_history(
    staff: Client, action: str, field: str, value: object
) -> None:
    hook = create_channel("webhook", "hook", {"url": "https://hooks.example.org/x"})
    chosen = list(Rule.objects.order_by("pk")[:3])
    for rule in chosen:
        if action == "switch_on":
            Rule.objects.filter(pk=rule.pk).update(enabled=False)
        elif action == "go_on":
            Rule.objects.filter(pk=rule.pk).update(paused_until=timezone.now() + timedelta(hours=1))
        elif action == "notify_all_channels":
            rule.channels.set([hook])
    form = {"action": action, "_selected_action": [rule.pk for rule in chosen], "channel": hook.pk}
    assert staff.post("/admin/alerts/rule/", form).status_code == 302
    for rule in Rule.objects.filter(pk__in=[rule.pk for rule in chosen]):
        (change,) = rule.changes.filter(version=2)
        assert (change.author_name, list(change.fields)) == ("root", [field])
        assert value == "later" or change.fields[field][1] == value


def test_severity_and_enabled_changed_in_the_list_are_in_the_history(staff: Client) -> None:
    first = Rule.objects.all()[0]
    page = staff.get("/admin/alerts/rule/").content.decode()
    for name in ("threshold", "for_seconds", "severity", "enabled"):
        assert f'name="form-0-{name}"' in page
    severity = "info" if first.severity != "info" else "critical"
    assert staff.post("/admin/alerts/rule/", list_of_rules(severity=severity, enabled="")).status_code == 302
    change = first.changes.get()
    assert (change.version, change.author_name) == (2, "root")
    assert change.fields == {"severity": [first.severity, severity], "enabled": [True, False]}
    assert Rule.objects.filter(version=2).count() == 1


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("q=HighProviderCost", {"name": "HighProviderCost"}),
        ("severity__exact=critical", {"severity": "critical"}),
        ("enabled__exact=0", {"enabled": False}),
        ("health__exact=ok", {"health": "ok"}),
        ("group__id__exact={group}", {"group__name": "elsewhere"}),
    ],
)
def test_the_list_of_rules_is_searched_and_filtered(staff: Client, query: str, wanted: dict[str, object]) -> None:
    one, other = Rule.objects.order_by("pk")[:2]
    group = RuleGroup.objects.create(name="elsewhere")
    Rule.objects.filter(pk=one.pk).update(enabled=False, health="ok", group=group)
    Rule.objects.filter(pk=other.pk).update(severity="critical")
    answer = staff.get(f"/admin/alerts/rule/?{query.format(group=group.pk)}")
    assert answer.status_code == 200
    found = {rule.name for rule in answer.context["cl"].result_list}
    assert found == set(Rule.objects.filter(**wanted).values_list("name", flat=True))
    assert 0 < len(found) < Rule.objects.count()
