"""What was changed around an alert: deploys, prices, its rule and keys; on its page, its chart and in its messages."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone

from alerts.evidence.changes import changes_around
from alerts.models import Alert, Rule
from alerts.rules.defaults import ensure_defaults
from alerts.rules.edits import set_enabled
from core.accounts.keys import create_key, revoke_key
from tests.alerts.pages.samples import fire, text_of
from tests.people import People, browser_of, make_people
from usage.models import Mark, Price

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    ensure_defaults(apps.get_model)
    return make_people()


@pytest.fixture
def alert(people: People) -> Alert:
    """Of production, since half an hour. A little before, its application was deployed, and another one."""
    now = timezone.now()
    found = fire(Rule.objects.get(name="HighProviderCost"), model="gpt-5", component="agent", workspace="production")
    for title, minutes, fields in (
        ("agent 2.14.0", 40, {"labels": {"component": "agent"}, "link": "https://ci.example.org/812"}),
        ("workflow 1.3", 41, {"labels": {"component": "workflow"}}),
        ("long ago", 300, {}),
        ("new database", 42, {"workspace": None}),
    ):
        Mark.objects.create(
            **{"workspace": people.production, **fields}, title=title, at=now - timedelta(minutes=minutes)
        )
    Mark.objects.create(title="theirs", at=now - timedelta(minutes=43), workspace=people.elsewhere)
    return found


def names(alert: Alert, *workspaces: str) -> list[str]:
    return [one.short for one in changes_around(alert, set(workspaces) or None, timezone.now())]


def test_marks_that_may_have_to_do_with_the_alert_are_its_evidence(alert: Alert) -> None:
    assert names(alert) == ["new database", "agent 2.14.0"]
    assert names(alert, "production") == ["new database", "agent 2.14.0"]
    assert names(alert, "elsewhere") == []


def test_prices_edits_and_keys_of_the_time_are_listed(alert: Alert, people: People) -> None:
    Mark.objects.all().delete()
    Price.objects.create(provider="openai", model="gpt-5*", input_usd=1, output_usd=2)
    Price.objects.create(provider="openai", model="other", input_usd=1, output_usd=2)
    key, _ = create_key("checkout", people.production, ("ingest",))
    create_key("theirs", people.elsewhere, ("ingest",))
    revoke_key(key, timezone.now())
    set_enabled(alert.rule, False, by=people.admin, now=timezone.now())
    assert sorted(names(alert)) == ["key checkout made", "key checkout revoked", "price of gpt-5*", "rule edited"]


def test_page_and_chart_show_them(alert: Alert, people: People) -> None:
    browser = browser_of(people.owner)
    page = text_of(browser.get(f"/alerts/{alert.pk}/"))
    assert '<a href="https://ci.example.org/812" rel="noopener noreferrer">agent 2.14.0</a>' in page
    assert "workflow 1.3" not in page
    drawn = browser.get(f"/alerts/{alert.pk}/figure").json()
    assert {"new database", "agent 2.14.0"} <= {note["text"] for note in drawn["layout"]["annotations"]}
