"""Pages of incidents, silences and the routing tree."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.incidents import actions
from alerts.incidents.collect import flush_due
from alerts.incidents.routing.edits import save_routing
from alerts.models import Alert, Delivery, Incident, RoutingVersion, RuleChange, Silence
from alerts.notify.claims import claim
from alerts.notify.deliveries import send_claimed
from tests.alerts.incidents.world import World, at
from tests.people import People, browser_of, make_people, make_platform_people

pytestmark = pytest.mark.django_db
ROUTE: dict[str, Any] = {
    "receiver": "a",
    "group_by": ["alertname"],
    "routes": [
        {"matchers": ["team=support"], "receiver": "b", "routes": [{"matchers": ["env=prod"]}]},
        {"matchers": ["team=finance"], "receiver": "a", "continue": True},
    ],
}


@pytest.fixture
def people() -> People:
    return make_people()


@pytest.fixture
def operator(people: People) -> Client:
    return browser_of(people.admin)


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def incident_of(world: World) -> Incident:
    world.fire(0, "x", "y")
    world.run(30)
    return Incident.objects.get()


def test_everybody_with_a_login_reads_and_only_operators_change() -> None:
    people = make_platform_people()
    incident = incident_of(World(ROUTE, "a b"))
    for path in ("/incidents/", f"/incidents/{incident.pk}/", "/notifications/", "/silences/"):
        assert Client().get(path).status_code == 302
        assert browser_of(people.teammate).get(path).status_code == 200
    for path in (f"/incidents/{incident.pk}/acknowledge", "/notifications/remove", "/silences/new/"):
        assert browser_of(people.teammate).post(path).status_code == 403


def test_an_incident_of_another_workspace_is_not_found_and_not_listed(people: People) -> None:
    incident = incident_of(World(None))
    for alert in Alert.objects.all():
        alert.labels["workspace"] = "secret-workspace"
        alert.save()
    browser = browser_of(people.outsider)
    assert browser.get(f"/incidents/{incident.pk}/").status_code == 404
    assert f"/incidents/{incident.pk}/" not in text_of(browser.get("/incidents/"))


def test_an_incident_shows_what_happened_and_why_it_was_sent(operator: Client) -> None:
    incident = incident_of(World(ROUTE, "a b"))
    page = text_of(operator.get(f"/incidents/{incident.pk}/"))
    assert "2 of 2 label sets fire" in page
    assert "Grouped by alertname; waited 30s for more alerts." in page
    assert "takes everything; no branch below matches, so it goes here → <b>a</b>" in page
    assert "2 firing, since the first message of its incident" in page
    assert "not acknowledged" in page
    first = Delivery.objects.get()
    said = f"a, {first.created_at:%Y-%m-%d %H:%M:%S} UTC: the first message of its incident."
    assert f"{said} It fired at {first.flip.at:%H:%M:%S}; a new group waits 30s." in page


def test_an_incident_says_why_each_channel_s_last_message_came_then_and_not_earlier(operator: Client) -> None:
    night = {"name": "night", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}
    route = {**ROUTE, "routes": [{"receiver": "b", "group_interval": "10m", "mute_time_intervals": ["never"]}]}
    never = {"name": "never", "time_intervals": [{"years": ["1999"]}]}
    world = World(route, "a b", time_intervals=[night, never])
    world.fire(0, "one")
    world.run(100)
    world.fire(110, "two")
    world.run(2000)
    incident = Incident.objects.get()
    page = text_of(operator.get(f"/incidents/{incident.pk}/"))
    assert "Its route&#x27;s time intervals (never) let it through now." in page
    assert "UTC: another alert fires. Changes of a group are sent every 10m." in page
    assert "UTC: the first message of its incident." not in page
    save_routing(
        {
            "route": {**ROUTE, "receiver": "a", "routes": [{**route["routes"][0], "mute_time_intervals": ["night"]}]},
            "receivers": [{"name": name, "portal_configs": [{"channel": world.channels[name].pk}]} for name in "ab"],
            "time_intervals": [night, never],
        },
        by=None,
        now=at(2001),
    )
    assert "Its route is quiet now: during night." in text_of(operator.get(f"/incidents/{incident.pk}/"))


def test_an_incident_is_acknowledged_commented_and_given_back(operator: Client, people: People) -> None:
    incident = incident_of(World(None))
    address = f"/incidents/{incident.pk}/"
    operator.post(f"{address}acknowledge")
    operator.post(f"{address}comment", {"text": "503s from <the> provider"})
    page = text_of(operator.get(address))
    assert f"acknowledged by {people.admin.username}" in page
    assert "503s from &lt;the&gt; provider" in page
    assert "It was taken by somebody else" in text_of(operator.post(f"{address}acknowledge", follow=True))
    operator.post(f"{address}give-back")
    assert "Given back" in text_of(operator.get(address))
    assert [event.kind for event in incident.events.all()] == ["acknowledged", "comment", "unacknowledged"]
    assert "A comment has 1 to 10,000 characters" in text_of(operator.post(f"{address}comment", follow=True))


def test_acknowledged_means_no_repeat_also_of_one_that_was_already_queued(people: People) -> None:
    world = World({"receiver": "a", "repeat_interval": "1h"})
    incident = incident_of(world)
    world.run(3000)
    flush_due(at(3930))
    assert list(Delivery.objects.order_by("id").values_list("why", "state")) == [
        ("first", "sent"),
        ("repeat", "pending"),
    ]
    actions.acknowledge(incident, by=people.owner, now=at(3931))
    claimed = claim(world.channels["a"].pk, at(3932))
    assert claimed is not None
    send_claimed(claimed, lambda: at(3932))
    assert list(Delivery.objects.order_by("id").values_list("why", "state")) == [
        ("first", "sent"),
        ("repeat", "skipped"),
    ]
    world.run(40_000)
    assert Delivery.objects.count() == 2


def test_snoozed_means_quiet_and_what_still_fires_then_is_told_at_once(people: People) -> None:
    world = World(None)
    incident = incident_of(world)
    assert actions.snooze(incident, dt.timedelta(hours=1), by=people.owner, now=at(100))
    world.fire(200, "z")
    world.resolve(300, "y")
    assert world.messages(10_000) == ["0 a +x +y (first)", "3700 a +x +z -y (firing)"]


def test_the_tester_lights_the_way_and_gives_the_reason_of_each_step(operator: Client) -> None:
    World(ROUTE, "a b")
    answer = operator.get("/notifications/", {"labels": 'team="support", env=prod'})
    rows = answer.context["rows"]
    assert [(row.level, row.matched, row.ends) for row in rows] == [
        (0, True, False),
        (1, True, False),
        (2, True, True),
        (1, False, False),
    ]
    assert "team=&quot;support&quot;} matches; a branch below matches" in text_of(answer)
    assert "An alert has labels: write each as name=value." in text_of(
        operator.get("/notifications/", {"labels": "a=~b"})
    )
    assert operator.get("/notifications/", {"labels": "{{{"}).status_code == 200


def test_the_tree_is_edited_as_a_file_and_a_mistake_keeps_what_was_typed(operator: Client) -> None:
    World(ROUTE, "a b")
    text = operator.get("/notifications/edit/").context["form"].initial["text"]
    assert "portal_configs:" in text
    operator.post("/notifications/edit/", {"text": text.replace("support", "helpdesk")})
    assert RoutingVersion.objects.count() == 2
    assert "helpdesk" in text_of(operator.get("/notifications/"))
    answer = operator.post("/notifications/edit/", {"text": text.replace("receiver: b", "receiver: typo")})
    assert "undefined receiver &#x27;typo&#x27;" in text_of(answer)
    assert "receiver: typo" in text_of(answer)
    exported = operator.get("/notifications/alertmanager.yml")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="alertmanager.yml"'
    operator.post("/notifications/remove")
    assert "Each rule chooses its channels" in text_of(operator.get("/notifications/"))
    assert operator.get("/notifications/alertmanager.yml").status_code == 302


def test_a_silence_is_previewed_made_extended_and_ended(operator: Client, people: People) -> None:
    World(None).fire(0, "x", "y")
    form = {"matchers": 'name=~"x|z"', "hours": "2", "comment": "load test"}
    assert "1 firing now" in text_of(operator.post("/silences/new/", {**form, "preview": "1"}))
    assert Silence.objects.count() == 0
    operator.post("/silences/new/", form)
    silence = Silence.objects.get()
    assert (silence.created_by, silence.state(timezone.now())) == (people.admin.username, "active")
    page = text_of(operator.get("/silences/"))
    assert "load test" in page
    assert "matches 1 firing now" in page
    operator.post(f"/silences/{silence.pk}/extend")
    silence.refresh_from_db()
    assert round((silence.ends_at - silence.starts_at).total_seconds()) == 4 * 3600
    operator.post(f"/silences/{silence.pk}/expire")
    assert "Nothing is silenced" in text_of(operator.get("/silences/"))
    assert "load test" in text_of(operator.get("/silences/?expired"))


@pytest.mark.parametrize(
    ("matchers", "error"), [("name=~(", "is no regular expression"), ("name=~.*", "must not match the empty string")]
)
def test_a_silence_that_cannot_be_says_why(matchers: str, error: str, operator: Client) -> None:
    answer = operator.post("/silences/new/", {"matchers": matchers, "hours": "2", "comment": "c"})
    assert error in text_of(answer)
    assert Silence.objects.count() == 0


def test_pages_take_a_number_of_queries_that_does_not_grow_with_the_rows(
    operator: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    world = World({"receiver": "a", "group_by": ["name"], "group_wait": "0s"})
    world.fire(0, *(f"x{number}" for number in range(30)))
    assert Incident.objects.count() == 30
    for path in ("/incidents/", f"/incidents/{Incident.objects.latest('pk').pk}/", "/notifications/?labels=a=b"):
        with django_assert_max_num_queries(32):
            assert operator.get(path).status_code == 200


def test_empty_pages_say_what_to_do(operator: Client) -> None:
    assert "Nothing is wrong" in text_of(operator.get("/incidents/"))
    assert "There is no channel" in text_of(operator.get("/notifications/"))


def test_an_operator_of_a_workspace_silences_its_alerts_only_and_routes_nothing(people: People) -> None:
    browser, form = browser_of(people.owner), {"hours": "2", "comment": "c"}
    assert browser.post("/silences/new/", {**form, "matchers": "a=b"}).status_code == 403
    assert browser.post("/silences/new/", {**form, "matchers": "workspace=elsewhere"}).status_code == 403
    assert browser.post("/silences/new/", {**form, "matchers": "workspace=production, a=b"}).status_code == 302
    silence = Silence.objects.get()
    stranger = browser_of(people.outsider)
    assert stranger.post(f"/silences/{silence.pk}/expire").status_code == 404
    assert "production" not in text_of(stranger.get("/silences/"))
    assert browser.get("/notifications/edit/").status_code == 403
    assert browser.get("/notifications/alertmanager.yml").status_code == 403


def test_the_list_of_incidents_has_pages(operator: Client) -> None:
    world = World({"receiver": "a", "group_by": ["name"], "group_wait": "0s", "group_interval": "1s"})
    names = [f"n{number}" for number in range(53)]
    world.fire(0, *names)
    world.resolve(10, *names[:52])
    world.run(20)
    first, second = operator.get("/incidents/"), operator.get("/incidents/?page=2")
    assert (len(first.context["closed_rows"]), len(second.context["closed_rows"])) == (50, 2)
    assert "Page 2 of 2" in text_of(second)
    assert len(second.context["open_rows"]) == 1


def test_an_incident_shows_what_was_changed_around_it_and_where_it_comes_from(operator: Client) -> None:
    incident = incident_of(World(ROUTE, "a b"))
    rule = Alert.objects.latest("id").rule
    RuleChange.objects.create(rule=rule, version=2, at=at(-60), author_name="jon", fields={"for_seconds": [120, 300]})
    page = text_of(operator.get(f"/incidents/{incident.pk}/"))
    assert "Where it comes from" in page
    assert "Traces behind it" in page
    assert page.index("Where it comes from") < page.index("Seen before")
    assert "Rule edited" in page
    assert "Rule edited" in text_of(operator.get(f"/incidents/{incident.pk}/write-up.md"))
