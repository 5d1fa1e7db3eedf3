"""Groups and their times as Alertmanager has them, and what its users asked for in vain. Each test is named after a
line of its behaviour."""

import datetime as dt
from typing import Any

import pytest

from alerts.incidents.collect import flush_incidents
from alerts.incidents.silences import SilenceError, expire_silence, matched_by, set_silence, silence_list
from alerts.models import Channel, Delivery, Incident, Silence
from alerts.routing.matchers import parse_matchers
from tests.alerts.incidents.world import START, World, at

pytestmark = pytest.mark.django_db
ROUTE: dict[str, Any] = {
    "receiver": "a",
    "group_by": ["team"],
    "group_wait": "30s",
    "group_interval": "5m",
    "repeat_interval": "4h",
}


def silence(matchers: str, start: float, end: float, **more: Any) -> Silence:
    return set_silence(
        parse_matchers(matchers), at(start), at(end), created_by="ada", comment="work", now=at(start), **more
    )


def test_group_wait_counts_from_the_group_s_creation_and_one_message_tells_all() -> None:
    world = World(ROUTE)
    world.fire(0, "x", team="t")
    world.fire(20, "y", team="t")
    world.fire(29, "z", team="u")
    assert world.messages(100) == ["30 a +x +y (first)", "59 a +z (first)"]


def test_group_wait_is_over_at_once_for_an_alert_that_fires_longer_than_it() -> None:
    world = World(ROUTE)
    world.fire(60, "x", since=29)
    assert world.messages() == ["60 a +x (first)"]


def test_an_alert_resolved_before_group_wait_is_over_sends_no_notification() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.resolve(10, "x")
    assert world.messages(1000) == []
    assert Incident.objects.get().closed_at is not None


def test_group_interval_is_the_group_s_clock_and_resolves_wait_for_it_too() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.fire(100, "y")
    world.resolve(200, "x")
    world.resolve(400, "y")
    assert world.messages(2000) == ["30 a +x (first)", "330 a +y -x (firing)", "630 a -y (resolved)"]


def test_repeat_interval_is_checked_only_at_a_flush_so_it_is_rounded_up_to_it() -> None:
    world = World({**ROUTE, "repeat_interval": "11m"})
    world.fire(0, "x")
    assert world.messages(2000) == ["30 a +x (first)", "930 a +x (repeat)", "1830 a +x (repeat)"]


def test_a_resolved_alert_in_a_group_that_still_fires_is_sent_once() -> None:
    world = World(ROUTE)
    world.fire(0, "x", "y")
    world.resolve(100, "x")
    assert world.messages(2000) == ["30 a +x +y (first)", "330 a +y -x (resolved)"]


def test_an_alert_that_ends_and_fires_again_within_an_interval_is_no_news() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.resolve(100, "x")
    world.fire(200, "x")
    assert world.messages(700) == ["30 a +x (first)"]
    world.resolve(800, "x")
    assert world.messages(2000) == ["30 a +x (first)", "930 a -x (resolved)"]
    assert Incident.objects.get().closed_at is not None


def test_a_channel_that_takes_no_resolved_hears_only_of_firing() -> None:
    world = World(ROUTE)
    Channel.objects.update(send_resolved=False)
    world.fire(0, "x", "y")
    world.resolve(100, "x")
    world.fire(400, "x")
    world.resolve(700, "x", "y")
    assert world.messages(2000) == ["30 a +x +y (first)", "630 a +x +y (firing)"]


def test_deduplication_is_per_group_and_receiver() -> None:
    world = World(
        {**ROUTE, "routes": [{"matchers": ["team=t"], "receiver": "b", "continue": True}, {"receiver": "c"}]}, "a b c"
    )
    world.fire(0, "x", team="t")
    world.fire(0, "y", team="u")
    assert world.messages(100) == ["30 b +x (first)", "30 c +x (first)", "30 c +y (first)"]


def test_what_failed_was_not_notified_and_resolved_alerts_are_kept_for_the_next_flush() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.run(29)
    flush_incidents([Incident.objects.get().pk], at(30))
    Delivery.objects.update(state="failed")
    world.fire(100, "y")
    world.resolve(200, "x")
    assert world.messages(1000) == ["30 a +x (first)", "330 a +y -x (first)"]


def test_inhibition_mutes_while_the_source_fires_and_the_target_is_notified_once_it_ends() -> None:
    world = World(
        ROUTE,
        inhibit_rules=[{"source_matchers": ["sev=crit"], "target_matchers": ["sev=warn"], "equal": ["team"]}],
    )
    world.fire(0, "source", sev="crit", team="t")
    world.fire(0, "target", sev="warn", team="t")
    world.fire(0, "other", sev="warn", team="u")
    world.resolve(100, "source")
    assert world.messages(2000) == [
        "30 a +source (first)",
        "30 a +other (first)",
        "330 a +target -source (firing)",
    ]


def test_a_silence_mutes_from_its_start_to_its_end() -> None:
    world = World(ROUTE)
    silence("name=x", 0, 400)
    world.fire(10, "x", "y")
    assert world.messages(399) == ["40 a +y (first)"]
    member = Incident.objects.get().members.get(alert__labels__name="x")
    assert member.muted_by == "silenced by ada until 2026-03-02 10:06 UTC: work"
    assert world.messages(1000) == ["40 a +y (first)", "400 a +x +y (firing)"]


def test_an_alert_that_still_fires_when_its_silence_ends_is_notified_at_once_and_not_at_the_next_repeat() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.run(50)
    silence("name=x", 50, 777)
    assert world.messages(2000) == ["30 a +x (first)", "777 a +x (unmuted)"]


def test_an_alert_is_notified_at_once_when_its_silence_is_ended_by_hand() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.run(100)
    found = silence("name=x", 100, 5000)
    world.fire(200, "y")
    world.run(950)
    expire_silence(found, at(950))
    assert world.messages(2000) == ["30 a +x (first)", "330 a +y (firing)", "950 a +x +y (firing)"]


def test_looking_at_what_a_silence_hits_tells_nothing_before_its_time() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.fire(100, "y")
    world.run(110)
    silence("name=x", 110, 5000)
    assert world.messages(400) == ["30 a +x (first)", "330 a +y (firing)"]


def test_what_resolved_while_silenced_is_notified_once_the_silence_ends() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.run(50)
    silence("name=x", 50, 777)
    world.resolve(100, "x")
    assert world.messages(2000) == ["30 a +x (first)", "777 a -x (resolved)"]
    assert Incident.objects.get().closed_at == at(777)


def test_what_fired_and_resolved_while_silenced_is_notified_to_nobody() -> None:
    world = World(ROUTE)
    silence("name=x", 0, 777)
    world.fire(0, "x")
    world.resolve(100, "x")
    assert world.messages(2000) == []
    assert Incident.objects.get().closed_at is not None


def test_editing_an_active_silence_s_matchers_or_start_expires_and_recreates_it() -> None:
    first = silence("name=x", 0, 500)
    same = silence("name=x", 0, 900, silence_id=first.pk)
    assert (same.pk, same.ends_at) == (first.pk, at(900))
    other = set_silence(
        parse_matchers("name=y"), at(0), at(900), created_by="ada", comment="c", now=at(100), silence_id=first.pk
    )
    first.refresh_from_db()
    assert (other.pk != first.pk, first.ends_at, other.starts_at) == (True, at(100), at(100))
    assert [entry.pk for entry in silence_list(at(100))] == [other.pk]
    assert [entry.pk for entry in silence_list(at(100), expired=True)] == [first.pk]


def test_deleting_a_silence_is_expiring_it_also_before_it_has_begun() -> None:
    found = set_silence(parse_matchers("name=x"), at(500), at(900), created_by="ada", comment="c", now=at(0))
    expire_silence(found, at(100))
    found.refresh_from_db()
    assert (found.starts_at, found.ends_at, found.state(at(100))) == (at(100), at(100), "expired")


@pytest.mark.parametrize(
    ("matchers", "start", "end", "said"),
    [
        ("{}", 0, 10, "at least one matcher required"),
        ("name=~.*", 0, 10, "must not match the empty string"),
        ("name=x", 10, 10, "end time must be after start time"),
        ("name=x", -20, -10, "end time can't be in the past"),
    ],
)
def test_a_silence_that_alertmanager_refuses_is_refused(matchers: str, start: float, end: float, said: str) -> None:
    with pytest.raises(SilenceError, match=said):
        set_silence(parse_matchers(matchers), at(start), at(end), created_by="ada", comment="", now=START)


def test_a_silence_shows_what_it_hits_now_and_would_have_hit() -> None:
    world = World(ROUTE)
    world.fire(0, "x", "y")
    world.resolve(10, "x")
    found = matched_by(parse_matchers("name=~x|y"), at(-60), None)
    assert ([alert.labels["name"] for alert in found.now], found.before) == (["y"], 2)


def test_a_route_s_mute_time_holds_back_and_what_still_fires_is_notified_when_it_is_over() -> None:
    night = [{"name": "n", "time_intervals": [{"times": [{"start_time": "09:00", "end_time": "10:12"}]}]}]
    world = World({**ROUTE, "routes": [{"receiver": "a", "mute_time_intervals": ["n"]}]}, time_intervals=night)
    world.fire(0, "x")
    world.fire(0, "y")
    world.resolve(100, "y")
    assert world.messages(719) == []
    assert world.messages(2000) == ["720 a +x (first)"]


def test_without_a_tree_each_change_is_notified_at_once_as_by_the_rule_s_own_channels() -> None:
    world = World(None)
    world.fire(0, "x")
    world.resolve(1, "x")
    world.fire(2, "x", "y")
    assert world.messages(90_000) == ["0 a +x (first)", "1 a -x (resolved)", "2 a +x +y (first)"]


def test_many_alerts_at_once_are_one_message() -> None:
    world = World(None)
    world.fire(0, *(f"x{number}" for number in range(500)))
    assert len(world.messages()) == 1
    assert len(Delivery.objects.get().firing) == 500


def test_an_incident_is_closed_when_all_of_it_has_ended_and_the_next_alert_opens_another() -> None:
    world = World(ROUTE)
    world.fire(0, "x")
    world.run(40)
    world.resolve(50, "x")
    world.run(400)
    world.fire(500, "x")
    assert world.messages(600) == ["30 a +x (first)", "330 a -x (resolved)", "530 a +x (first)"]
    assert list(Incident.objects.order_by("pk").values_list("closed_at", "flush_at")) == [
        (at(330), None),
        (None, at(530) + dt.timedelta(hours=4)),
    ]
