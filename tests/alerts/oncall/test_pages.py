"""Pages of schedules, policies and means, as each of the three people."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.incidents.routing.edits import remove_routing, save_routing
from alerts.models import Channel, EscalationPolicy, Incident, Schedule
from alerts.oncall.means import add_means
from alerts.oncall.policies import save_policy
from alerts.oncall.schedules import add_override, feed_token, save_schedule
from tests.alerts.oncall.world import Night
from tests.people import People, browser_of, make_people, make_platform_people

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


@pytest.fixture
def people() -> People:
    return make_people()


@pytest.fixture
def admin(people: People) -> Client:
    return browser_of(people.admin)


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def schedule_of(people: People) -> Schedule:
    """On call for production: the teammate, from yesterday on."""
    schedule = save_schedule(Schedule(workspace=people.production), name="support", time_zone="UTC", calendar="")
    now = timezone.now()
    add_override(schedule, people.teammate, now - DAY, now + DAY)
    return schedule


def test_members_read_operators_change_and_others_find_nothing(people: People) -> None:
    schedule = schedule_of(people)
    address = f"/on-call/schedules/{schedule.pk}/"
    assert Client().get(address).status_code == 302
    assert browser_of(people.outsider).get(address).status_code == 404
    assert "support" not in text_of(browser_of(people.outsider).get("/on-call/"))
    page = text_of(browser_of(people.teammate).get(address))
    assert "teammate on call" in page
    assert "/on-call/calendars/" not in page
    assert browser_of(people.teammate).post(f"{address}delete").status_code == 403
    assert "/on-call/calendars/" in text_of(browser_of(people.owner).get(address))


def test_who_is_on_call_stands_on_notifications_and_incidents(admin: Client, people: People) -> None:
    schedule_of(people)
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    incident = Incident.objects.get()
    for path in ("/notifications/", f"/incidents/{incident.pk}/", "/on-call/"):
        assert "teammate" in text_of(admin.get(path)), path
    page = text_of(admin.get(f"/incidents/{incident.pk}/"))
    assert "Mara Lind (on call for support)" in page
    assert "after 5 min without acknowledgement" in page


def test_a_schedule_is_made_with_rotation_and_override_and_a_mistake_is_said_at_its_field(admin: Client) -> None:
    wrong = admin.post("/on-call/schedules/new/", {"name": "ops", "time_zone": "Mars", "calendar": "x"})
    assert wrong.status_code == 422
    assert "is no time zone" in text_of(wrong)
    admin.post("/on-call/schedules/new/", {"name": "ops", "time_zone": "Europe/Berlin"})
    address = f"/on-call/schedules/{Schedule.objects.get().pk}/"
    assert "Nobody is on call" in text_of(admin.get(address))
    form = {"people": "owner, nobody", "first_day": "2026-01-05", "handover": "09:00", "shift_days": "7"}
    assert "nobody is nobody who can be on call here" in text_of(admin.post(f"{address}rotations", form))
    admin.post(f"{address}rotations", {**form, "people": "owner, teammate"})
    assert "7 days each, handover 09:00" in text_of(admin.get(address))
    late = {"person": "", "starts_at": "2026-01-05T09:00", "ends_at": "2026-01-04T09:00"}
    assert admin.post(f"{address}overrides", late).status_code == 422


def test_a_calendar_is_read_by_who_knows_its_address_until_it_is_renewed(admin: Client, people: People) -> None:
    schedule = schedule_of(people)
    address = f"/on-call/calendars/{feed_token(schedule)}.ics"
    answer = Client().get(address)
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "SUMMARY:teammate" in answer.content.decode()
    assert Client().get(address.replace(f"/{schedule.pk}-", f"/{schedule.pk + 1}-")).status_code == 404
    admin.post(f"/on-call/schedules/{schedule.pk}/calendar/renew")
    assert Client().get(address).status_code == 404


def test_a_policy_is_made_by_steps_and_a_schedule_that_it_names_stays(admin: Client, people: People) -> None:
    schedule = save_schedule(Schedule(), name="ops", time_zone="UTC", calendar="")
    form = {"name": "support", "repeats": "1", "repeat_seconds": "10m", "targets_1": [f"schedule:{schedule.pk}"]}
    assert "name 1 to 10 steps" in text_of(admin.post("/on-call/policies/new/", {**form, "targets_1": []}))
    admin.post("/on-call/policies/new/", {**form, "targets_2": [f"person:{people.owner.pk}"], "delay_2": "15m"})
    policy = EscalationPolicy.objects.get()
    assert [one["delay_seconds"] for one in policy.steps] == [0, 900]
    assert 'owner</b> <span class="second">after 15 min without acknowledgement' in text_of(admin.get("/on-call/"))
    answer = admin.post(f"/on-call/schedules/{schedule.pk}/delete", follow=True)
    assert "take it out there first" in text_of(answer)
    admin.post(f"/on-call/policies/{policy.pk}/", {**form, "repeats": "9"})
    assert EscalationPolicy.objects.get().repeats == 1


def test_a_policy_that_routing_names_stays(admin: Client, people: People) -> None:
    steps = [{"targets": [f"person:{people.owner.pk}"]}]
    policy = save_policy(EscalationPolicy(), {"name": "support", "steps": steps})
    receiver = {"name": "night", "portal_configs": [{"escalation": policy.pk}]}
    save_routing({"route": {"receiver": "night"}, "receivers": [receiver]}, by=None, now=timezone.now())
    answer = admin.post(f"/on-call/policies/{policy.pk}/delete", follow=True)
    assert "support is in the receiver night of routing: take it out there first." in text_of(answer)
    assert admin.delete(f"/api/v1/escalation-policies/{policy.pk}").status_code == 409
    remove_routing(by=None, now=timezone.now())
    assert "support was removed." in text_of(admin.post(f"/on-call/policies/{policy.pk}/delete", follow=True))
    assert not EscalationPolicy.objects.exists()


def test_one_s_own_means_are_seen_and_changed_by_nobody_else(people: People) -> None:
    browser = browser_of(people.teammate)
    assert "By mail to teammate@example.org" in text_of(browser.get("/on-call/me/"))
    browser.post("/on-call/me/new/ntfy/", {"config_topic": "mine", "delay_seconds": "5m", "severities": ["critical"]})
    (channel,) = Channel.every.filter(person=people.teammate)
    assert (channel.delay_seconds, channel.severities) == (300, ["critical"])
    assert "5 min after the step" in text_of(browser.get("/on-call/me/"))
    admin = browser_of(people.admin)
    assert admin.get(f"/channels/{channel.pk}/").status_code == 404
    assert "teammate: ntfy" not in text_of(admin.get("/channels/"))
    assert admin.post(f"/on-call/me/{channel.pk}/remove").status_code == 404
    browser.post(f"/on-call/me/{channel.pk}/remove")
    assert not Channel.every.exists()


def test_the_api_makes_and_reads_schedules_policies_and_means() -> None:
    people = make_platform_people()
    client = browser_of(people.owner)

    def post(path: str, body: dict[str, Any]) -> Any:
        return client.post(f"/api/v1/{path}", body, content_type="application/json")

    made = post("schedules", {"name": "ops", "time_zone": "UTC", "workspace": None})
    assert made.status_code == 201, made.content
    pk = made.json()["id"]
    assert post("schedules", {"name": "x", "time_zone": "Mars"}).json()["errors"][0]["field"] == "time_zone"
    rotation = {"people": ["owner", "teammate"], "first_day": "2026-01-05", "handover": "09:00", "shift_days": 7}
    answer = post(f"schedules/{pk}/add-rotation", rotation)
    assert answer.json()["rotations"][0]["people"] == ["owner", "teammate"], answer.content
    shifts = client.get(f"/api/v1/schedules/{pk}/shifts?days=14").json()
    assert {shift["people"][0] for shift in shifts} == {"owner", "teammate"}
    steps = [{"targets": [f"schedule:{pk}"]}]
    assert post("escalation-policies", {"name": "p", "steps": steps, "workspace": None}).status_code == 201
    unknown = post("escalation-policies", {"name": "q", "steps": [{"targets": ["person:0"]}], "workspace": None})
    assert "there is no person:0" in unknown.json()["detail"]
    assert client.delete(f"/api/v1/schedules/{pk}").status_code == 409
    viewer = browser_of(people.teammate)
    mine = {"kind": "ntfy", "config": {"topic": "t"}}
    assert viewer.post("/api/v1/means", mine, content_type="application/json").status_code == 201
    assert client.get("/api/v1/means").json()["results"] == []


def test_pages_take_a_number_of_queries_that_does_not_grow_with_the_schedules(
    admin: Client, people: People, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now()
    for number in range(8):
        schedule = save_schedule(Schedule(), name=f"s{number}", time_zone="UTC", calendar="")
        add_override(schedule, people.owner, now - DAY, now + DAY)
    add_means(people.owner, "ntfy", {"topic": "t"})
    with django_assert_max_num_queries(25):
        admin.get("/on-call/")


def test_one_s_own_means_take_a_limit_on_the_page_and_by_the_api(people: People) -> None:
    browser = browser_of(people.teammate)
    form = {"config_topic": "t", "rate_limit": "3", "rate_seconds": "5m", "delay_seconds": "0"}
    answer = browser.post("/on-call/me/new/ntfy/", form)
    assert answer.status_code == 302, answer.context["form"].errors
    body = {"kind": "ntfy", "config": {"topic": "u"}, "rate_limit": 4, "rate_seconds": 60}
    assert browser.post("/api/v1/means", body, content_type="application/json").status_code == 201
    found = Channel.every.filter(person=people.teammate).order_by("id")
    assert list(found.values_list("rate_limit", "rate_seconds")) == [(3, 300), (4, 60)]
    wrong = browser.post("/api/v1/means", {**body, "rate_limit": 0}, content_type="application/json")
    assert wrong.status_code == 400
