"""Mail about "my" alerts: who asked for it gets it once for each change, of what they may see."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.incidents import actions
from alerts.incidents.models import Incident
from alerts.models import Channel, Delivery, Schedule
from alerts.notify.incident_message import delivery_message
from alerts.notify.transports.contract import ConfigInvalid
from alerts.oncall.following import follow, followed_by
from alerts.oncall.means import means_of
from alerts.oncall.schedules import add_rotation, save_schedule
from core.accounts.models import Membership
from core.audit.models import AuditLine
from tests.alerts.incidents.world import START, World
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db
TOGETHER = {"receiver": "a", "group_by": ["alertname"], "group_wait": "0s", "repeat_interval": "1h"}


@pytest.fixture
def people() -> People:
    return make_people()


def mailed(person: User) -> list[str]:
    """Why each mail went to the person."""
    found = Delivery.objects.filter(channel__person=person).order_by("id")
    return list(found.values_list("why", flat=True))


def test_a_member_hears_of_the_alerts_of_the_own_workspace_once_for_each_change(people: People) -> None:
    follow(people.teammate, "workspaces")
    world = World(None)
    world.fire(0, "ours", workspace="production")
    world.fire(0, "theirs", workspace="elsewhere")
    world.fire(0, "whose")
    world.run(30)
    world.resolve(60, "ours", "theirs")
    assert mailed(people.teammate) == ["first", "resolved"]
    assert mailed(people.owner) == []
    sent = Delivery.objects.filter(channel__person=people.teammate).select_related("channel")
    message = delivery_message(sent[0], timezone.now())
    assert "You asked for mail about the alerts of your workspaces." in message.note
    assert (message.act_url, message.act_token) == ("", ""), "a viewer acknowledges nothing"
    assert {delivery.channel.target for delivery in sent if delivery.channel} == {"teammate@example.org"}


def test_an_incident_with_alerts_of_others_is_mailed_to_who_sees_them_all(people: People) -> None:
    for person in (people.teammate, people.admin):
        follow(person, "workspaces")
    world = World(TOGETHER)
    world.fire(0, "ours", workspace="production")
    world.fire(0, "theirs", workspace="elsewhere")
    world.run(400)
    about = Delivery.objects.filter(channel__person=people.teammate).values_list("firing", flat=True)
    theirs = world.open["theirs"].pk
    assert all(theirs not in firing for firing in about)
    assert theirs in Delivery.objects.filter(channel__person=people.admin).latest("id").firing


def test_mine_are_those_that_one_owns_or_is_on_call_for(people: People) -> None:
    for person in (people.owner, people.teammate):
        follow(person, "mine")
    schedule = save_schedule(Schedule(workspace=people.production), name="ops", time_zone="UTC", calendar="")
    first_day = START.date() - dt.timedelta(days=7)
    add_rotation(schedule, [people.owner], first_day=first_day, handover=dt.time(9), shift_days=365)
    world = World(TOGETHER)
    world.fire(0, "ours", workspace="production")
    world.run(1)
    assert (mailed(people.owner), mailed(people.teammate)) == (["first"], [])
    actions.set_owner(Incident.objects.get(), people.teammate, by=people.owner, now=START)
    world.run(2 * 3600)
    assert mailed(people.teammate)[:1] == ["first"]


def test_who_left_hears_nothing_more(people: People) -> None:
    follow(people.teammate, "workspaces")
    Membership.objects.filter(user=people.teammate).delete()
    follow(people.outsider, "workspaces")
    User.objects.filter(pk=people.outsider.pk).update(is_active=False)
    world = World(None)
    world.fire(0, "ours", workspace="production")
    world.fire(0, "theirs", workspace="elsewhere")
    world.run(10)
    assert (mailed(people.teammate), mailed(people.outsider)) == ([], [])


def test_it_is_chosen_under_account_and_no_means_of_escalations(people: People) -> None:
    browser = browser_of(people.owner)
    assert browser.post("/account/", {"theme": "auto", "density": "compact", "alert_mail": "mine"}).status_code == 302
    assert followed_by(people.owner) == "mine"
    shown = browser.get("/account/")
    assert shown.context["form"]["alert_mail"].value() == "mine"
    assert means_of([people.owner.pk]) == {}
    assert browser.get("/api/v1/means").json()["results"] == []
    channel = Channel.every.get(person=people.owner)
    assert browser.post(f"/on-call/me/{channel.pk}/remove").status_code == 404
    browser.post("/account/", {"theme": "auto", "density": "compact", "alert_mail": "workspaces"})
    assert Channel.every.get(person=people.owner).pk == channel.pk
    assert AuditLine.objects.filter(object_type="channel", actor="owner").count() == 2
    browser.post("/account/", {"theme": "auto", "density": "compact", "alert_mail": ""})
    assert not Channel.every.filter(person=people.owner).exists()


def test_an_account_without_an_address_is_refused(people: People) -> None:
    User.objects.filter(pk=people.owner.pk).update(email="")
    answer = browser_of(people.owner).post("/account/", {"theme": "dark", "density": "compact", "alert_mail": "mine"})
    assert answer.status_code == 422
    assert "Your account has no mail address." in answer.content.decode()
    with pytest.raises(ConfigInvalid):
        follow(people.teammate, "all")
