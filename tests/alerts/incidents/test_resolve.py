"""From an incident's start to its write-up: owner, severity, ticked steps, an end by hand, and what is kept of it."""

import pytest
from django.contrib.auth.models import User

from alerts.incidents import actions
from alerts.incidents.resolve import reopen_due, resolve
from alerts.incidents.write_up import incidents_alike, steps_of, ticked_steps
from alerts.models import Alert, Delivery, Incident
from alerts.notify.incident_message import delivery_message
from alerts.runbooks.edits import create_runbook
from tests.alerts.incidents.world import START, World, at
from tests.alerts.oncall.world import Night
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db
TREE = {"receiver": "a", "group_by": ["alertname"], "group_wait": "30s", "repeat_interval": "4h"}


@pytest.fixture
def by() -> User:
    return User.objects.create_user("ada")


def test_resolved_by_hand_everybody_notified_hears_it_with_the_reason_and_it_is_over(by: User) -> None:
    world = World(TREE)
    world.fire(0, "x", "y")
    world.run(100)
    incident = Incident.objects.get()
    assert resolve(incident, "the provider was down", by=by, now=at(100))
    assert not resolve(incident, "again", by=by, now=at(101))
    assert world.messages(100_000) == ["30 a +x +y (first)", "100 a -x -y (resolved)"]
    incident.refresh_from_db()
    assert (incident.closed_at, incident.resolved_by, incident.outcome) == (at(100), by, "the provider was down")
    last = Delivery.objects.select_related("incident", "flip__alert__rule__runbook").latest("id")
    message = delivery_message(last, at(101))
    assert (message.state, message.note) == ("resolved", "Resolved by hand by ada: the provider was down")
    assert [(line.firing, line.ended) for line in message.alerts] == [(False, at(100))] * 2


def test_what_ends_after_that_is_no_news_and_what_still_fires_an_hour_later_opens_another(by: User) -> None:
    world = World(TREE)
    world.fire(0, "x", "y")
    world.run(100)
    resolve(Incident.objects.get(), "", by=by, now=at(100))
    world.resolve(200, "y")
    assert reopen_due(at(3699)) == 0
    assert reopen_due(at(3700)) == 1
    assert reopen_due(at(3701)) == 0
    assert world.messages(4000) == ["30 a +x +y (first)", "100 a -x -y (resolved)", "3700 a +x (first)"]
    assert Incident.objects.filter(closed_at=None).count() == 1


def test_resolved_by_hand_nothing_escalates_any_more() -> None:
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    resolve(Incident.objects.get(), "", by=night.mara, now=at(100))
    night.run(1000)
    assert night.notified() == ["30 mara: Email (escalated)", "100 mara: Email (resolved)"]


def test_a_raised_severity_is_in_the_messages_and_escalation_begins_anew() -> None:
    night = Night()
    night.world.fire(0, "x", severity="warning")
    night.run(100)
    incident = Incident.objects.get()
    with pytest.raises(actions.ActionError, match="as severe already"):
        actions.raise_severity(incident, "info", by=night.mara, now=at(100))
    assert actions.raise_severity(incident, "critical", by=night.mara, now=at(100))
    night.run(101)
    assert night.notified() == ["30 mara: Email (escalated)", "100 mara: Email (escalated)"]
    last = Delivery.objects.select_related("incident", "flip__alert__rule__runbook").latest("id")
    assert delivery_message(last, at(101)).severity == "critical"
    incident.refresh_from_db()
    with pytest.raises(actions.ActionError, match="as severe already"):
        actions.raise_severity(incident, "critical", by=night.mara, now=at(102))


def test_steps_are_numbered_lines_and_boxes_and_a_tick_stays_with_its_text(by: User) -> None:
    text = "# Slow\n\n1. Status page?\n2) Deploys\n- [ ] Tell support\n- [x] Done\n- no step\n\n    1. code\n"
    assert steps_of(text) == ["Status page?", "Deploys", "Tell support", "Done"]
    world = World(TREE)
    world.fire(0, "x")
    incident = Incident.objects.get()
    actions.tick(incident, "Deploys", done=True, by=by, now=at(10))
    actions.tick(incident, "Status page?", done=True, by=by, now=at(11))
    actions.tick(incident, "Status page?", done=False, by=by, now=at(12))
    events = list(incident.events.all())
    found = ticked_steps(f"1. Something new\n{text}", events)
    assert [(step.number, step.text, step.by) for step in found if step.by] == [(3, "Deploys", "ada")]


def test_earlier_incidents_of_the_group_show_how_they_ended(by: User) -> None:
    world = World(TREE)
    for begin in (0, 1000, 2000):
        world.fire(begin, "x")
        world.run(begin + 100)
        incident = Incident.objects.get(closed_at=None)
        if begin == 0:
            actions.comment(incident, "waited", by=by, now=at(begin + 90))
        if begin < 2000:
            resolve(incident, "key rotated" if begin else "", by=by, now=at(begin + 100))
            world.resolve(begin + 200, "x")
    alike = incidents_alike(Incident.objects.get(closed_at=None), None)
    assert [(one.outcome, one.last_comment) for one in alike] == [("key rotated", None), ("", "waited")]  # type: ignore[attr-defined]


def test_the_page_ticks_owns_raises_and_resolves_and_the_write_up_has_all_of_it() -> None:
    people = make_people()
    world = World(TREE)
    world.rule.runbook = create_runbook("slow", "Slow", "1. Status page?\n2. Deploys", by=people.admin, now=START)
    world.rule.save()
    world.fire(0, "x", severity="warning")
    world.run(100)
    browser, address = browser_of(people.admin), f"/incidents/{Incident.objects.get().pk}/"
    browser.post(f"{address}tick", {"step": "Deploys", "done": "1"})
    assert "no such step" in browser.post(f"{address}tick", {"step": "?"}, follow=True).content.decode()
    browser.post(f"{address}owner", {"owner": people.owner.pk})
    browser.post(f"{address}severity", {"severity": "critical"})
    browser.post(f"{address}comment", {"text": "503s from the provider"})
    browser.post(f"{address}resolve", {"outcome": "rolled back"})
    page = " ".join(browser.get(address).content.decode().split())
    assert "owner owner" in page
    assert "raised to critical" in page
    assert "resolved by admin: “rolled back”" in page
    answer = browser.get(f"{address}write-up.md")
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    text = answer.content.decode()
    for line in (
        "- Severity: critical",
        "- Owner: owner",
        "## How it ended\n\nrolled back",
        "- [ ] Status page?\n- [x] Deploys (admin, ",
        "503s from the provider",
        "**Resolved by hand** by admin rolled back",
    ):
        assert line in text, line
    assert browser_of(people.outsider).get(f"{address}write-up.md").status_code == 404
    assert Alert.objects.get().state == "firing"
