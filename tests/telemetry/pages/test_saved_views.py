"""Searches that a workspace's operators keep for all who see it."""

import pytest

from telemetry.models import SavedView
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    return make_people()


def share(people: People, **changes: str) -> dict[str, str]:
    given = {"page": "traces", "name": "slow agents", "query": "q=agent%3Da&q=slow&sort=-duration&page=3&part=list"}
    return {**given, "workspace": str(people.production.pk), **changes}


def test_a_shared_view_is_seen_by_its_workspace_and_changed_by_its_operators(people: People) -> None:
    owner = browser_of(people.owner)
    answer = owner.post("/saved-views/", share(people))
    view = SavedView.objects.get()
    assert view.query == "q=agent%3Da&q=slow&sort=-duration"
    assert answer["Location"] == f"/traces/?{view.query}"
    link = '/traces/?q=agent%3Da&amp;q=slow&amp;sort=-duration" aria-current="page">slow agents'
    for person, sees in ((people.owner, True), (people.teammate, True), (people.outsider, False), (people.admin, True)):
        page = browser_of(person).get(f"/traces/?{view.query}").content.decode()
        assert (link in page, f"/saved-views/{view.pk}/delete" in page) == (sees, sees and person != people.teammate)
        assert "slow agents" not in browser_of(person).get("/logs/").content.decode()
    assert browser_of(people.outsider).post(f"/saved-views/{view.pk}/delete").status_code == 404
    assert browser_of(people.teammate).post(f"/saved-views/{view.pk}/delete").status_code == 403
    assert browser_of(people.teammate).post("/saved-views/", share(people)).status_code == 403
    owner.post(f"/saved-views/{view.pk}/delete")
    assert not SavedView.objects.exists()


def test_one_of_the_same_name_is_replaced_and_there_is_an_end(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.pages.saved_views.MAX_VIEWS", 1)
    owner = browser_of(people.owner)
    owner.post("/saved-views/", share(people))
    owner.post("/saved-views/", share(people, query="q=other"))
    assert list(SavedView.objects.values_list("query", flat=True)) == ["q=other"]
    page = owner.post("/saved-views/", share(people, name="another"), follow=True).content.decode()
    assert "There are 1 views already" in page
    elsewhere = owner.post("/saved-views/", share(people, workspace=str(people.elsewhere.pk)), follow=True)
    assert "The view was not saved." in elsewhere.content.decode()
    assert SavedView.objects.count() == 1
