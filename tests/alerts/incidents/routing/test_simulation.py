"""How many messages a routing would have made: as many as the engine makes, and what an edit changes."""

import random
from typing import Any

import pytest
from django.utils import timezone

from alerts.incidents.policy import current_policy
from alerts.incidents.routing.simulation import OWN_CHANNELS, Simulation, past_alerts, simulate
from alerts.models import Alert, Channel, RoutingVersion
from core.audit.models import AuditLine
from tests.alerts.incidents.world import START, World, at
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db
TREE: dict[str, Any] = {
    "receiver": "a",
    "group_by": ["team"],
    "group_wait": "30s",
    "group_interval": "5m",
    "repeat_interval": "20m",
    "routes": [
        {"matchers": ["team=t2"], "receiver": "b", "continue": True, "group_by": ["name"], "group_wait": "0s"},
        {"matchers": ["team=t2"], "receiver": "a", "group_interval": "1m"},
    ],
}
QUIET = [{"name": "quiet", "time_intervals": [{"times": [{"start_time": "10:20", "end_time": "10:40"}]}]}]


MUTED = {**TREE, "routes": [TREE["routes"][0], {**TREE["routes"][1], "mute_time_intervals": ["quiet"]}]}


def played(world: World, seed: int) -> tuple[list[str], Simulation]:
    """What the engine sends of an hour and a half of alerts, and what is counted of it."""
    Channel.objects.filter(name="a").update(send_resolved=bool(seed % 2))
    chance = random.Random(seed)
    now = 0.37
    for _ in range(40):
        now += chance.uniform(1, 240)
        names = [f"n{number}" for number in range(6)]
        name = chance.choice(names)
        if name in world.open:
            world.resolve(now, name)
        else:
            world.fire(now, name, team=f"t{int(name[1]) % 3}")
    sent = world.messages(now + 3600.2)
    end = at(now + 3600.2)
    return sent, simulate(current_policy(), past_alerts(None, end), end)


@pytest.mark.parametrize("seed", range(4))
def test_it_counts_what_the_engine_sends(seed: int) -> None:
    sent, found = played(World((TREE, None, MUTED)[seed % 3], "a b", time_intervals=QUIET), seed)
    assert len(sent) > 20
    assert abs(found.total - len(sent)) <= len(sent) / 20
    assert not found.is_cut
    if seed % 3 == 1:
        assert set(found.messages) == {OWN_CHANNELS}


def test_the_editor_shows_both_numbers_and_changes_nothing() -> None:
    world = World({"receiver": "a", "group_by": ["name"], "group_wait": "0s"})
    world.fire(0, *"abcdef", team="t")
    Alert.objects.update(fired_at=timezone.now() - (at(600) - START))
    before = (RoutingVersion.objects.count(), Channel.objects.count(), AuditLine.objects.count())
    people = make_people()
    text = (
        "{route: {receiver: x, group_by: [team]}, receivers: [{name: x, webhook_configs: [{url: 'https://a.org/'}]}]}"
    )
    admin = browser_of(people.admin)
    shown = admin.post("/notifications/edit/", {"text": text, "preview": "1"}).content.decode()
    assert "<b>1</b> instead of 6" in shown
    assert "6 alerts" in shown
    answer = admin.post("/api/v1/routing/preview", {"text": text}, content_type="application/json")
    assert answer.json() == {
        "alerts": 6,
        "before": 6,
        "after": 1,
        "receivers": [{"receiver": "a", "before": 6, "after": 0}, {"receiver": "x", "before": 0, "after": 1}],
    }
    wrong = admin.post("/notifications/edit/", {"text": "{route: {}}", "preview": "1"})
    assert "no route provided" in wrong.content.decode() or "receiver" in wrong.content.decode()
    assert (RoutingVersion.objects.count(), Channel.objects.count(), AuditLine.objects.count()) == before
    # An operator of one workspace counts the alerts of that workspace, in its branch.
    own = "{route: {receiver: a}, receivers: [{name: a, portal_configs: [{channel: a}]}]}"
    shown = browser_of(people.owner).post("/notifications/edit/?workspace=production", {"text": own, "preview": "1"})
    assert "<b>0</b> instead of 0" in shown.content.decode()
    assert RoutingVersion.objects.count() == before[0]
