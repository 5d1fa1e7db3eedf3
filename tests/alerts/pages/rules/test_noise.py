"""The page of noise: what rules cost people, and changes that would cost less."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from alerts.incidents import actions
from alerts.incidents.noise import proposals, rule_costs
from alerts.incidents.policy import current_policy
from alerts.models import Alert, Incident, Rule
from tests.alerts.incidents.world import World, at
from tests.alerts.scripted_rules import gauge, make_rule, minute
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db
TREE: dict[str, Any] = {"receiver": "a", "group_by": ["name"], "group_wait": "0s", "group_interval": "1s"}
NOW = at(4000)


def test_rules_are_ranked_by_the_messages_that_led_to_nothing() -> None:
    people = make_people()
    world = World(TREE)
    useful, loud = world.rule, Rule.objects.create(group=world.rule.group, name="Loud", expr="vector(1)", position=1)
    world.fire(0, "x", "y")
    for incident in Incident.objects.all():
        actions.acknowledge(incident, by=people.owner, now=incident.opened_at + dt.timedelta(seconds=90))
    world.rule = loud
    world.fire(10, "z")
    world.resolve(1810, "z")
    first, second = rule_costs(None, NOW)
    assert (first.rule, first.alerts, first.seconds, first.messages, first.acted, first.incidents) == (
        loud,
        1,
        1800,
        2,
        0,
        1,
    )
    assert (first.reaction, first.people, first.for_nothing) == (None, [], 2)
    assert (second.rule, second.acted, second.incidents, second.reaction) == (useful, 2, 2, 90)
    assert (second.people, second.for_nothing) == (["owner"], 0)
    assert rule_costs(frozenset({"production"}), NOW) == []


def test_changes_are_proposed_with_their_backtest_where_they_cost_less() -> None:
    slots = 24 * 60
    # Twenty minutes every two hours, and once an hour and a half.
    values: list[float | None] = [20 if number % 120 < 20 or 700 < number < 790 else 1 for number in range(slots)]
    rule = make_rule(threshold=5)
    found = proposals(rule, gauge({"a": values}), current_policy(), None, minute(slots))
    by = {one.what: one for one in found}
    assert by["for"].before == 12
    assert by["for"].after == 1
    assert by["for"].change.endswith(" min instead of 0 min")
    assert "group" not in by


def test_one_group_per_alertname_is_proposed_where_it_makes_fewer_messages() -> None:
    world = World(TREE)
    world.fire(0, *"abcd")
    Alert.objects.update(fired_at=NOW - dt.timedelta(hours=1))
    (found,) = [one for one in proposals(world.rule, gauge({}), current_policy(), None, NOW) if one.what == "group"]
    assert (found.before, found.after) == (4, 1)


def test_everybody_sees_their_own_and_the_queries_stay_flat(django_assert_max_num_queries: Callable[..., Any]) -> None:
    people = make_people()
    world = World(TREE)
    world.fire(0, *[f"h{number}" for number in range(20)], workspace="production")
    Alert.objects.update(fired_at=timezone.now())
    client = browser_of(people.teammate)
    with django_assert_max_num_queries(40):
        page = client.get("/notifications/noise/").content.decode()
    assert "World" in page
    assert "World" not in browser_of(people.outsider).get("/notifications/noise/").content.decode()
    assert client.get(f"/notifications/noise/{world.rule.pk}/").status_code == 200
    assert client.get("/notifications/noise/987654/").status_code == 404


def test_the_api_ranks_the_same_rules_for_who_sees_their_alerts() -> None:
    people = make_people()
    world = World(TREE)
    world.fire(0, "x", workspace="production")
    Alert.objects.update(fired_at=timezone.now())
    (row,) = browser_of(people.owner).get("/api/v1/noise").json()
    assert (row["rule"], row["name"], row["alerts"], row["incidents"], row["acted"]) == (
        world.rule.pk,
        "World",
        1,
        1,
        0,
    )
    assert browser_of(people.outsider).get("/api/v1/noise").json() == []
