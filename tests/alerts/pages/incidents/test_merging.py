"""Merging incidents on the page and by the API, and who may."""

from typing import Any

import pytest

from alerts.incidents.models import Incident
from alerts.models import Delivery
from core.accounts.models import Membership
from tests.alerts.incidents.world import World
from tests.people import People, browser_of, make_people, make_platform_people

pytestmark = pytest.mark.django_db
TREE = {"receiver": "a", "group_by": ["name"], "group_wait": "30s"}


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def two(**labels: str) -> tuple[Incident, Incident]:
    world = World(TREE)
    world.fire(0, "x", "y", **labels)
    world.run(30)
    first, second = Incident.objects.order_by("pk")
    return first, second


def test_an_operator_merges_on_the_page_which_says_so_and_undoes_it() -> None:
    first, second = two()
    browser = browser_of(make_people().admin)
    assert f'<option value="{second.pk}">#{second.pk}' in text_of(browser.get(f"/incidents/{first.pk}/"))
    answer = browser.post(f"/incidents/{first.pk}/merge", {"into": second.pk})
    assert answer.headers["Location"] == f"/incidents/{second.pk}/"
    page = text_of(browser.get(f"/incidents/{second.pk}/"))
    assert "2 of 2 label sets fire" in page
    assert f"<b>Merged</b> by admin #{first.pk} into this one" in page
    assert f"<b>Merged</b> by admin into #{second.pk}" in page
    page = text_of(browser.get(f"/incidents/{first.pk}/"))
    assert f'Merged into <a href="/incidents/{second.pk}/">incident #{second.pk}</a>' in page
    assert ">Separate</button>" in page
    assert ">Acknowledge</button>" not in page
    assert "> merged</span>" in text_of(browser.get("/incidents/"))
    browser.post(f"/incidents/{first.pk}/separate")
    assert "1 of 1 label set fire" in text_of(browser.get(f"/incidents/{second.pk}/"))
    again = browser.post(f"/incidents/{first.pk}/separate", follow=True)
    assert "It is merged into none, or that one is over." in text_of(again)


@pytest.mark.parametrize("into", ["", "x", "9" * 30])
def test_without_another_incident_nothing_is_merged(into: str) -> None:
    first, _ = two()
    browser = browser_of(make_people().admin)
    answer = browser.post(f"/incidents/{first.pk}/merge", {"into": into}, follow=True)
    assert "Choose the incident that goes on." in text_of(answer)
    assert browser.post(f"/incidents/{first.pk}/merge", {"into": 10**17}).status_code == 404
    answer = browser.post(f"/incidents/{first.pk}/merge", {"into": first.pk}, follow=True)
    assert "cannot be merged into itself" in text_of(answer)


def test_the_api_merges_and_separates_and_answers_409_for_what_is_over() -> None:
    first, second = two()
    browser = browser_of(make_people().admin)
    address = f"/api/v1/incidents/{first.pk}"

    def post(what: str, **body: int) -> Any:
        return browser.post(f"{address}/{what}", body, content_type="application/json")

    assert post("merge", into=first.pk).status_code == 400
    assert post("merge", into=10**15).json()["errors"] is not None
    merged = post("merge", into=second.pk)
    assert (merged.status_code, merged.json()["merged_into"]) == (200, second.pk)
    assert merged.json()["closed_at"] is not None
    assert post("merge", into=second.pk).status_code == 409
    separated = post("separate")
    assert (separated.json()["merged_into"], separated.json()["closed_at"]) == (None, None)
    assert post("separate").status_code == 409


def test_viewers_and_strangers_merge_nothing() -> None:
    first, second = two(workspace="production")
    people = make_platform_people()
    for person, status in ((people.teammate, 403), (people.outsider, 404)):
        browser = browser_of(person)
        assert browser.post(f"/incidents/{first.pk}/merge", {"into": second.pk}).status_code in (403, status)
        answer = browser.post(f"/api/v1/incidents/{first.pk}/merge", {"into": second.pk})
        assert answer.status_code == status
    assert Incident.objects.filter(merged_into=None).count() == 2


def mixed(people: People) -> Incident:
    world = World({"receiver": "a", "group_by": ["alertname"]})
    world.fire(0, "ours", workspace=people.production.slug)
    world.fire(0, "theirs", workspace=people.elsewhere.slug)
    world.run(30)
    return Incident.objects.get()


ACTIONS = ("acknowledge", "give-back", "snooze", "resolve", "owner", "severity", "merge", "separate")


@pytest.mark.parametrize("action", ACTIONS)
def test_what_holds_for_alerts_of_others_too_is_done_by_who_operates_them_all(action: str) -> None:
    people = make_people()
    incident = mixed(people)
    asked = {"for": "1h", "severity": "critical", "into": incident.pk}
    answer = browser_of(people.owner).post(f"/incidents/{incident.pk}/{action}", asked)
    assert answer.status_code == 403
    assert "workspaces that you do not operate" in text_of(answer)
    api = {"severity": "raise"}.get(action, action)
    asked |= {"seconds": 60, "owner": ""}
    answer = browser_of(people.owner).post(f"/api/v1/incidents/{incident.pk}/{api}", asked)
    assert answer.status_code == 403
    incident.refresh_from_db()
    assert (incident.acknowledged_at, incident.snoozed_until, incident.closed_at) == (None, None, None)
    Membership.objects.create(user=people.owner, workspace=people.elsewhere, role="operator")
    assert browser_of(people.owner).post(f"/incidents/{incident.pk}/{action}", asked).status_code == 302


def test_comments_are_free_and_messages_count_only_the_alerts_that_the_reader_sees() -> None:
    people = make_people()
    incident = mixed(people)
    browser = browser_of(people.owner)
    assert browser.post(f"/incidents/{incident.pk}/comment", {"text": "ours is a test"}).status_code == 302
    page = text_of(browser.get(f"/incidents/{incident.pk}/"))
    assert "it also has alerts of workspaces that are not yours" in page
    assert ">Acknowledge</button>" not in page
    assert len(Delivery.objects.get().firing) == 2
    assert "1 firing, since the first message of its incident" in page
    assert "2 firing" not in page
    assert "2 firing, since the first message" in text_of(browser_of(people.admin).get(f"/incidents/{incident.pk}/"))
