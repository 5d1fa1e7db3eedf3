"""What the editor says of a marked window, of deploys, and of incidents to try a rule on."""

from datetime import timedelta
from html import escape
from typing import Any

import pytest
from django.utils import timezone

from alerts.incidents.models import Incident, Member
from alerts.models import Rule
from tests.alerts.pages.rules.test_rules import typed
from tests.alerts.pages.samples import fire, text_of
from tests.people import People, browser_of
from tests.portal.api.world import client_of
from usage.models import Mark

pytestmark = pytest.mark.django_db
SEVEN = 'label_replace(vector(7), "model", "gpt-5", "", "") > $threshold'


def ago(minutes: float) -> int:
    return int((timezone.now() - timedelta(minutes=minutes)).timestamp() * 1000)


def preview(people: People, rule: Rule, **fields: Any) -> str:
    given = {**typed(rule, expr=SEVEN, for_seconds="5m"), "preview": "1", **fields}
    return text_of(browser_of(people.owner).post(f"/rules/{rule.pk}/", given, headers={"HX-Request": "true"}))


def test_a_marked_window_is_answered_with_what_would_have_fired(people: People, rule: Rule) -> None:
    part = preview(people, rule, threshold="1", window_from=ago(60), window_to=ago(30))
    assert '<span class="badge ok">Yes</span> 1 label set would have fired, and did so already when it began' in part
    assert '<span class="chip" title="model">gpt-5</span> <span class="second">for' in part
    assert "--accent/.14" in part


def test_what_would_not_have_been_caught_is_said_with_the_for_that_would(people: People, rule: Rule) -> None:
    since = f'label_replace((vector(time()) > bool {ago(70) / 1000:.0f}) * 7, "model", "gpt-5", "", "") > $threshold'
    window = {"window_from": ago(60), "window_to": ago(30)}
    part = preview(people, rule, threshold="1", for_seconds="2h", expr=since, **window)
    assert '<span class="badge critical">No</span> Nothing would have fired.' in part
    assert 'name="use_for" value="' in part
    given = {**typed(rule, for_seconds="2h"), "use_for": "20m"}
    page = browser_of(people.owner).post(f"/rules/{rule.pk}/", given)
    assert page.context["form"]["for_seconds"].value() == "20m"
    rule.refresh_from_db()
    assert rule.for_seconds != 1200


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("noon", "1", "The times of the window cannot be read."),
        ("9" * 40, "1", "The times of the window cannot be read."),
        (ago(1), ago(60), "A window is between a minute and 30 days long."),
        (ago(60 * 24 * 40), ago(1), "A window is between a minute and 30 days long."),
    ],
    ids=["no time", "no number", "backwards", "too long"],
)
def test_a_window_that_cannot_be_is_named(people: People, rule: Rule, start: Any, end: Any, said: str) -> None:
    assert said in preview(people, rule, window_from=start, window_to=end)


def test_an_incident_leads_to_the_rule_with_its_window(people: People, rule: Rule) -> None:
    alert = fire(rule, workspace="production")
    incident = Incident.objects.create(digest="d", key="k", opened_at=alert.fired_at)
    Member.objects.create(incident=incident, alert=alert)
    browser = browser_of(people.teammate)
    page = text_of(browser.get(f"/incidents/{incident.pk}/"))
    start = int(alert.active_at.timestamp() * 1000)
    assert f'href="/rules/{rule.pk}/?window_from={start}&amp;window_to=' in page
    editor = text_of(browser.get(f"/rules/{rule.pk}/?window_from={start}&window_to={start + 600_000}"))
    assert f'<option value="{start} ' in editor
    assert "Nothing would have fired" in editor
    outsider = text_of(browser_of(people.outsider).get(f"/rules/{rule.pk}/"))
    assert f'<option value="{start} ' not in outsider


def test_deploys_are_marked_on_the_chart_of_a_rule(people: People, rule: Rule) -> None:
    Mark.objects.create(title="agent 2.14.0", at=timezone.now() - timedelta(hours=1), workspace=people.production)
    assert "agent 2.14.0" in text_of(browser_of(people.owner).get(f"/rules/{rule.pk}/"))
    assert "agent 2.14.0" not in text_of(browser_of(people.outsider).get(f"/rules/{rule.pk}/"))


def test_the_api_answers_the_same(people: People, rule: Rule) -> None:
    asked = {"expr": SEVEN, "threshold": 1, "for_seconds": 300}
    times = {"window_from": "2026-03-02T10:00:00Z", "window_to": "2026-03-02T10:30:00Z"}
    client = client_of(people.owner)
    caught = client.post("/api/v1/alerting-rules/backtest", {**asked, **times}, format="json").json()["caught"]
    assert (caught["count"], caught["after_seconds"], caught["threshold"]) == (1, 0, None)
    assert client.post("/api/v1/alerting-rules/backtest", asked, format="json").json()["caught"] is None
    one = client.post("/api/v1/alerting-rules/backtest", {**asked, "window_to": times["window_to"]}, format="json")
    assert one.status_code == 400


def test_what_is_typed_stands_beside_the_saved_version(people: People, rule: Rule) -> None:
    part = preview(people, rule, threshold="3", for_seconds="15m")
    assert (
        '<tr><td>threshold</td><td class="wrap"><code>1.0</code></td> <td class="wrap"><code>3.0</code></td></tr>'
        in part
    )
    saved = " ".join(escape(rule.expr).split())
    assert f'<tr><td>expr</td><td class="wrap"><code>{saved}</code></td>' in part
    assert "<tr><td>for seconds</td>" not in part
