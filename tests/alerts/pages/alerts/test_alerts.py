"""Pages of alerts: what happened, who has it, in place."""

import datetime as dt
import json
import re

import pytest
from django.utils import timezone

from alerts.models import Alert, Rule
from alerts.notify import channels
from tests.alerts.pages.samples import deliver, fire, text_of
from tests.alerts.scripted_rules import make_rule
from tests.people import People, browser_of

pytestmark = pytest.mark.django_db

SLACK = "https://hooks.slack.com/services/T000/B000/very-secret"


def test_an_alert_that_names_another_workspace_is_not_there(people: People, rule: Rule) -> None:
    alert = fire(rule, model="secret-model", workspace="production")
    page = f"/alerts/{alert.pk}/"
    assert browser_of(people.teammate).get(page).status_code == 200
    assert browser_of(people.outsider).get(page).status_code == 404
    assert browser_of(people.outsider).get(f"{page}figure").status_code == 404
    assert browser_of(people.outsider).post(f"{page}acknowledge").status_code == 404
    assert "secret-model" in text_of(browser_of(people.teammate).get("/alerts/"))
    assert "secret-model" not in text_of(browser_of(people.outsider).get("/alerts/"))
    assert "secret-model" not in text_of(browser_of(people.outsider).get(f"/rules/{rule.pk}/"))


def test_acknowledging_in_place_says_who_and_can_be_given_back(people: People, rule: Rule) -> None:
    alert, owner = fire(rule, model="gpt-5"), browser_of(people.owner)
    part = text_of(
        owner.post(f"/alerts/{alert.pk}/acknowledge", headers={"HX-Request": "true", "HX-Target": "open-alerts"})
    )
    assert "acknowledged by owner" in part
    assert "<html" not in part
    answer = owner.post(f"/alerts/{alert.pk}/give-back", {"next": "/alerts/"})
    assert answer.headers["Location"] == "/alerts/"
    assert Alert.objects.get().acknowledged_by is None


def test_going_back_never_leads_to_another_site(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    answer = browser_of(people.owner).post(f"/alerts/{alert.pk}/acknowledge", {"next": "https://evil.example/"})
    assert answer.headers["Location"] == f"/alerts/{alert.pk}/"


def test_the_alert_tells_what_happened_in_order(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    channel = channels.create_channel("slack", "#oncall", {"url": SLACK})
    delivery = deliver(alert, channel, "sent")
    assert alert.fired_at is not None
    for number, ok in ((1, False), (2, True)):
        at = alert.fired_at + dt.timedelta(seconds=15 * number)
        delivery.tries.create(number=number, at=at, duration_seconds=1, ok=ok, error="" if ok else "no answer")
    page = text_of(browser_of(people.owner).get(f"/alerts/{alert.pk}/?part=events"))
    places = [page.index(texts) for texts in ("Pending", "Firing", "#oncall</b>, delivered at try 2 in 31 s")]
    assert places == sorted(places)


def test_the_chart_shows_threshold_and_firing_time(people: People, rule: Rule) -> None:
    alert = fire(rule, model="gpt-5")
    figure = json.loads(browser_of(people.admin).get(f"/alerts/{alert.pk}/figure").content)
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert texts == ["firing", "threshold 1 %"]
    assert figure["data"] == []
    assert "no longer kept" in figure["empty"]


def test_the_history_is_filtered_by_the_url(people: People, rule: Rule) -> None:
    fire(rule, model="gpt-5")
    fire(Rule.objects.get(name="HighProviderCost"), provider="acme")
    owner = browser_of(people.owner)

    def titles(query: str) -> list[str]:
        history = owner.get(f"/alerts/?{query}").context["history"]
        return sorted(alert.rule.name for alert in history.alerts)

    assert titles("") == ["HighProviderCost", "LLMUsageIngestionFailuresCritical"]
    assert titles("severity=warning") == ["HighProviderCost"]
    assert titles(f"rule={rule.pk}") == ["LLMUsageIngestionFailuresCritical"]
    assert titles("text=model%3Dgpt-5") == ["LLMUsageIngestionFailuresCritical"]
    assert titles("state=resolved") == []
    assert titles("severity=nonsense&page=x") == ["HighProviderCost", "LLMUsageIngestionFailuresCritical"]


def test_what_fired_meanwhile_is_a_part_of_other_pages(people: People, rule: Rule) -> None:
    tool = make_rule("ToolFails", severity="warning")
    other = fire(rule, model="gpt-5", workspace=people.production.slug)
    fire(rule, model="elsewhere", workspace="elsewhere")
    own = fire(tool, tool_name="create_refund")
    old = fire(rule, minutes=600, model="old")
    Alert.objects.filter(pk=old.pk).update(ended_at=old.fired_at + dt.timedelta(minutes=5), state="resolved")
    now = int(timezone.now().timestamp() * 1000)
    path = f"/alerts/meanwhile?from={now - 60_000}&to={now}&workspace={people.production.slug}&about=create_refund"
    found = re.findall(r"/alerts/(\d+)/", text_of(browser_of(people.admin).get(path)))
    assert found == [str(own.pk), str(other.pk)]
    assert browser_of(people.outsider).get(path).status_code == 404
    early = f"/alerts/meanwhile?from={now - 90_000_000}&to={now - 86_400_000}"
    assert text_of(browser_of(people.admin).get(early)).strip() == "none fired"
