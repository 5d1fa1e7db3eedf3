"""Silences that recur: each window is a silence, the next one is there beforehand, and one can be skipped."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.incidents.silences import SilenceError, expire_silence
from alerts.models import RecurringSilence, Silence
from alerts.routing.matchers import parse_matchers
from alerts.silencing.recurring import add_recurring, make_due_silences, make_weekly, remove_recurring
from core.accounts.keys import create_key
from tests.alerts.incidents.world import START, World, at
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db
TREE = {"receiver": "a", "group_by": ["alertname"], "group_wait": "0s", "repeat_interval": "4h"}
HOUR = 3600
EVERY_DAY = range(7)


@pytest.fixture
def by() -> User:
    return User.objects.create_user("ada")


def nightly(by: User, begins: str = "10:10", ends: str = "10:40", **fields: Any) -> RecurringSilence:
    """Of every day, ten minutes after START."""
    times = (dt.time.fromisoformat(one) for one in (begins, ends))
    weekly = make_weekly(EVERY_DAY, *times, "UTC", **fields)
    return add_recurring(parse_matchers('name="x"'), weekly, comment="rebuild", by=by, now=START)


def starts(seconds: float = 0) -> list[str]:
    return [f"{one.occurs_at:%d %H:%M} {one.state(at(seconds))}" for one in Silence.objects.order_by("occurs_at")]


def test_the_next_window_is_a_pending_silence_and_another_one_follows_once_it_has_begun(by: User) -> None:
    nightly(by)
    assert starts() == ["02 10:10 pending"]
    make_due_silences(at(500))
    assert len(starts()) == 1
    for _ in range(2):
        make_due_silences(at(700))
    assert starts() == ["02 10:10 pending", "03 10:10 pending"]
    silence = Silence.objects.earliest("starts_at")
    assert (silence.starts_at, silence.ends_at, silence.comment) == (at(600), at(2400), "rebuild")


def test_what_fires_in_a_window_is_kept_until_its_end(by: User) -> None:
    world = World(TREE)
    nightly(by)
    world.fire(700, "x")
    world.fire(710, "y", alertname="Other")
    assert world.messages(3000) == ["710 a +y (first)", "2400 a +x (first)"]


def test_made_within_a_window_it_holds_at_once(by: User) -> None:
    nightly(by, "09:00", "11:00")
    assert [(one.starts_at, one.ends_at) for one in Silence.objects.order_by("starts_at")] == [
        (START, at(HOUR)),
        (at(23 * HOUR), at(25 * HOUR)),
    ]


def test_after_a_downtime_over_several_windows_only_the_one_of_now_is_made(by: User) -> None:
    nightly(by)
    make_due_silences(at(3 * 86_400 + 900))
    assert starts() == ["02 10:10 pending", "05 10:10 pending", "06 10:10 pending"]
    assert Silence.objects.get(occurs_at__day=5).starts_at == at(3 * 86_400 + 900)


def test_one_that_is_ended_before_it_begins_is_skipped_and_does_not_come_back(by: User) -> None:
    nightly(by)
    expire_silence(Silence.objects.get(), at(100))
    for seconds in (110, 700, 800):
        make_due_silences(at(seconds))
    assert starts(800) == ["02 10:10 expired", "03 10:10 pending"]


def test_removed_nothing_comes_again_and_what_holds_ends(by: User) -> None:
    recurring = nightly(by)
    make_due_silences(at(700))
    remove_recurring(recurring, by=by, now=at(800))
    assert {one.state(at(800)) for one in Silence.objects.all()} == {"expired"}
    make_due_silences(at(900))
    assert Silence.objects.count() == 2


def test_after_its_last_day_there_is_none(by: User) -> None:
    nightly(by, last_day=dt.date(2026, 3, 2))
    make_due_silences(at(700))
    make_due_silences(at(2 * 86_400))
    assert starts() == ["02 10:10 pending"]


def test_what_cannot_be_is_refused_with_a_reason(by: User) -> None:
    with pytest.raises(SilenceError, match="no such time zone"):
        make_weekly([0], dt.time(1), dt.time(2), "Mars/Olympus")
    with pytest.raises(SilenceError, match="at least one day"):
        make_weekly([], dt.time(1), dt.time(2), "UTC")
    with pytest.raises(SilenceError, match="last day is over"):
        nightly(by, last_day=dt.date(2020, 1, 1))
    weekly = make_weekly([0], dt.time(1), dt.time(2), "UTC")
    with pytest.raises(SilenceError, match="must not match the empty"):
        add_recurring(parse_matchers('name=~".*"'), weekly, comment="", by=by, now=START)


FORM = {
    "matchers": 'workspace="production"',
    "weekdays": ["5", "6"],
    "begins": "02:00",
    "ends": "03:30",
    "time_zone": "Europe/Berlin",
    "comment": "nightly rebuild",
}


def test_the_page_shows_the_next_times_before_it_is_saved_and_lists_it() -> None:
    people = make_people()
    browser = browser_of(people.owner)
    page = browser.post("/silences/recurring/new/", {**FORM, "preview": "1"}).content.decode()
    assert page.count("</time> to <time") == 5
    assert not RecurringSilence.objects.exists()
    assert "no such time zone" in browser.post("/silences/recurring/new/", {**FORM, "time_zone": "x"}).content.decode()
    assert browser.post("/silences/recurring/new/", {**FORM, "matchers": "a=b"}).status_code == 403
    browser.post("/silences/recurring/new/", FORM)
    page = " ".join(browser.get("/silences/").content.decode().split())
    assert "Sat, Sun 02:00 to 03:30 Europe/Berlin · owner" in page
    assert "· every week" in page
    address = f"/silences/recurring/{RecurringSilence.objects.get().pk}/remove"
    assert browser_of(people.outsider).post(address).status_code == 404
    assert browser_of(people.teammate).post(address).status_code == 403
    assert "It does not come again." in browser.post(address, follow=True).content.decode()
    assert not RecurringSilence.objects.exists()


def test_the_api_makes_lists_and_removes_it_and_alertmanagers_api_shows_its_next_window() -> None:
    people = make_people()
    browser = browser_of(people.owner)
    body = {**FORM, "weekdays": [5, 6], "begins": "02:00:00", "ends": "03:30:00"}
    made = browser.post("/api/v1/recurring-silences", body, content_type="application/json")
    assert made.status_code == 201, made.content
    now = timezone.now()
    starts = [dt.datetime.fromisoformat(one["starts_at"]) for one in made.json()["windows"]]
    assert len(starts) == 5
    assert {one.astimezone(ZoneInfo("Europe/Berlin")).hour for one in starts} == {2}
    assert made.json()["matchers"] == '{workspace="production"}'
    wrong = browser.post("/api/v1/recurring-silences", {**body, "time_zone": "x"}, content_type="application/json")
    assert wrong.status_code == 400
    _, token = create_key("am", people.production, scopes=["query"])
    headers = {"Authorization": f"Bearer {token}"}
    listed = browser.get("/api/v2/silences", headers=headers).json()
    assert {one["comment"] for one in listed} == {"nightly rebuild"}
    assert {one["status"]["state"] for one in listed} <= {"pending", "active"}
    assert max(dt.datetime.fromisoformat(one["startsAt"]) for one in listed) > now
    assert browser_of(people.outsider).get("/api/v1/recurring-silences").json()["results"] == []
    address = f"/api/v1/recurring-silences/{made.json()['id']}"
    assert browser_of(people.outsider).delete(address).status_code == 404
    assert browser.delete(address).status_code == 204
