"""What people choose for themselves, and that pages follow it."""

import pytest
from django.test import Client

from core.accounts.models import Preferences
from core.audit.models import AuditLine
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db
CHOSEN = {"time_zone": "Asia/Tokyo", "theme": "dark", "density": "compact", "landing_page": "alerts"}


@pytest.fixture
def people() -> People:
    return make_people()


def test_pages_carry_what_a_person_chose_and_nobody_else_sees_it(people: People) -> None:
    owner, teammate = browser_of(people.owner), browser_of(people.teammate)
    assert owner.post("/account/", CHOSEN)["Location"] == "/account/"
    head = owner.get("/").content.decode()[:400]
    assert 'data-theme-choice="dark" data-density="compact"' in head
    assert 'data-time-zone="Asia/Tokyo"' in head
    assert 'data-time-zone=""' in teammate.get("/").content.decode()[:400]
    line = AuditLine.objects.all()[0]
    assert (line.actor, line.object_name, line.after["theme"]) == ("owner", "owner", "dark")


def test_signing_in_leads_to_the_chosen_page_or_to_what_was_asked_for(people: People) -> None:
    people.owner.set_password("right-and-long-enough")
    people.owner.save()
    form = {"login": "owner", "password": "right-and-long-enough"}
    assert Client().post("/login/", form)["Location"] == "/"
    Preferences.objects.create(user=people.owner, landing_page="alerts")
    assert Client().post("/login/", form)["Location"] == "/alerts/"
    assert Client().post("/login/", {**form, "next": "/prices/"})["Location"] == "/prices/"
    Preferences.objects.update(landing_page="people")
    assert Client().post("/login/", form)["Location"] == "/", "an operator may not see that page any more"


@pytest.mark.parametrize("name", ["time_zone", "theme", "density", "landing_page"])
def test_what_there_is_not_is_refused_and_nothing_is_stored(name: str, people: People) -> None:
    answer = browser_of(people.teammate).post("/account/", {**CHOSEN, name: "none-such"})
    assert answer.status_code == 422
    assert not Preferences.objects.exists()
