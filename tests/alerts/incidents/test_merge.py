"""Incidents that are merged, and separated again: who hears what, and where later alerts go."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction

from alerts.incidents import actions
from alerts.incidents.collect import collect, flush_due
from alerts.incidents.merge import merge, separate
from alerts.incidents.resolve import reopen_due, resolve
from alerts.models import Alert, Escalation, Flip, Incident, IncidentEvent, Member, State
from alerts.notify.incident_message import delivery_message
from alerts.notify.links import read_token, token_of
from tests.alerts.incidents.world import World, at
from tests.alerts.oncall.world import Night

TREE = {
    "receiver": "a",
    "group_by": ["alertname"],
    "group_wait": "30s",
    "group_interval": "5m",
    "routes": [{"matchers": ["team=b"], "receiver": "b"}],
}


@pytest.fixture
def by(db: None) -> User:
    return User.objects.create_user("ada")


def incident_of(receiver: str) -> Incident:
    return Incident.objects.filter(receiver=receiver).latest("id")


def two() -> World:
    """`x` fires for a, `y` for b; both are notified."""
    world = World(TREE, "a b")
    world.fire(0, "x")
    world.fire(0, "y", team="b")
    world.run(100)
    return world


def alerts_of(incident: Incident) -> set[str]:
    return {member.alert.labels["name"] for member in Member.objects.filter(incident=incident, done=False)}


def test_merged_both_channels_hear_it_and_then_hear_of_the_one_incident(by: User) -> None:
    world = two()
    assert merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.arrive()
    assert alerts_of(incident_of("a")) == {"x", "y"}
    assert world.messages(100)[2:] == ["100 a +x +y (merged)", "100 b -y (merged)", "100 b +x +y (merged)"]
    world.resolve(200, "x", "y")
    assert world.messages(1000)[5:] == ["330 a -x -y (resolved)", "330 b -x -y (resolved)"]
    assert not Incident.objects.filter(closed_at=None).exists()


def test_the_messages_of_a_merge_say_by_whom_and_end_the_old_thread(by: User) -> None:
    two()
    source, target = incident_of("b"), incident_of("a")
    merge(source, target, by=by, now=at(100))
    ended, begun = (one.deliveries.filter(channel__name="b").latest("id") for one in (source, target))
    message = delivery_message(ended, at(101))
    assert (message.state, message.thread) == ("resolved", f"incident-{source.pk}")
    assert message.note == f"Merged into incident #{target.pk} by ada: that one goes on with what still fires."
    message = delivery_message(begun, at(101))
    assert (message.state, message.thread) == ("firing", f"incident-{target.pk}")
    assert message.note == f"Incident #{source.pk} was merged into this one by ada."


def test_what_fires_later_in_the_merged_group_goes_on_in_the_other_until_that_is_over(by: User) -> None:
    world = two()
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.fire(200, "z", team="b")
    world.run(400)
    assert alerts_of(incident_of("a")) == {"x", "y", "z"}
    assert world.messages()[5:] == ["330 a +x +y +z (firing)", "330 b +x +y +z (firing)"]
    world.resolve(500, "x", "y", "z")
    world.run(1000)
    world.fire(2000, "w", team="b")
    world.run(2100)
    assert Incident.objects.count() == 3
    assert world.messages()[-1] == "2030 b +w (first)"


def test_an_alert_of_both_incidents_is_told_once_and_comes_back_to_both(by: User) -> None:
    routes = [
        {"matchers": ["team=b"], "receiver": "b", "continue": True},
        {"matchers": ["team=b"], "receiver": "a"},
    ]
    world = World({**TREE, "routes": routes}, "a b")
    world.fire(0, "x", team="b")
    world.run(100)
    assert merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    assert alerts_of(incident_of("a")) == {"x"}
    assert alerts_of(incident_of("b")) == set()
    world.fire(200, "y", team="b")
    assert Member.objects.filter(incident=incident_of("a"), alert__labels__name="y").count() == 1
    assert separate(incident_of("b"), by=by, now=at(210))
    assert alerts_of(incident_of("b")) == {"x"}
    assert alerts_of(incident_of("a")) == {"x", "y"}


def test_separated_each_goes_on_with_its_own_also_with_what_came_later(by: User) -> None:
    world = two()
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.arrive()
    world.fire(200, "z", team="b")
    world.run(400)
    assert separate(incident_of("b"), by=by, now=at(400))
    world.arrive()
    assert not separate(incident_of("b"), by=by, now=at(401))
    assert alerts_of(incident_of("a")) == {"x"}
    assert alerts_of(incident_of("b")) == {"y", "z"}
    assert world.messages()[7:] == ["400 b +y +z (firing)"]
    world.fire(500, "w", team="b")
    world.resolve(600, "x")
    world.run(1000)
    assert alerts_of(incident_of("b")) == {"y", "z", "w"}
    # b was notified of x while they were one, and hears its end there.
    assert world.messages()[8:] == ["630 a -x (resolved)", "630 b -x (resolved)", "630 b +w +y +z (firing)"]


def test_separated_from_one_that_had_nothing_else_left_that_one_is_over(by: User) -> None:
    world = two()
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.arrive()
    world.resolve(200, "x")
    world.run(400)
    assert separate(incident_of("b"), by=by, now=at(500))
    assert incident_of("a").closed_at == at(500)
    assert alerts_of(incident_of("b")) == {"y"}
    assert world.messages()[7:] == ["500 a -y (merged)", "500 b -y (merged)", "500 b +y (firing)"]


def test_what_was_merged_into_a_merged_one_goes_with_it_and_is_separated_alone(by: User) -> None:
    world = World({**TREE, "group_by": ["name"]}, "a b")
    world.fire(0, "x", "y", "z")
    world.run(100)
    x, y, z = Incident.objects.order_by("pk")
    assert merge(x, y, by=by, now=at(100))
    assert merge(y, z, by=by, now=at(110))
    assert alerts_of(z) == {"x", "y", "z"}
    assert not merge(x, z, by=by, now=at(120))
    assert separate(x, by=by, now=at(130))
    assert (alerts_of(x), alerts_of(z)) == ({"x"}, {"y", "z"})
    assert separate(y, by=by, now=at(140))
    assert (alerts_of(x), alerts_of(y), alerts_of(z)) == ({"x"}, {"y"}, {"z"})


def test_before_anybody_was_notified_a_merge_is_no_message_of_its_own(by: User) -> None:
    world = World(TREE, "a b")
    world.fire(0, "x")
    world.fire(10, "y", team="b")
    assert merge(incident_of("b"), incident_of("a"), by=by, now=at(20))
    assert world.messages(100) == ["30 a +x +y (first)", "30 b +x +y (first)"]


def test_one_that_is_over_or_itself_is_merged_with_nothing(by: User) -> None:
    two()
    with pytest.raises(actions.ActionError, match="into itself"):
        merge(incident_of("a"), incident_of("a"), by=by, now=at(100))
    resolve(incident_of("a"), "", by=by, now=at(100))
    assert not merge(incident_of("b"), incident_of("a"), by=by, now=at(101))
    assert not merge(incident_of("a"), incident_of("b"), by=by, now=at(101))
    assert alerts_of(incident_of("b")) == {"y"}


def test_what_still_fires_an_hour_after_the_merged_one_was_resolved_opens_its_own_again(by: User) -> None:
    world = two()
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.arrive()
    resolve(incident_of("a"), "", by=by, now=at(200))
    world.arrive()
    assert reopen_due(at(3800)) == 2
    world.run(4000)
    assert world.messages()[-2:] == ["3800 a +x (first)", "3800 b +y (first)"]
    assert incident_of("b").merged_into is None


def test_a_link_in_a_message_of_what_was_merged_acts_on_the_one_that_goes_on(by: User) -> None:
    world = two()
    token = token_of(incident_of("b").pk, world.channels["b"].pk)
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    link = read_token(token)
    assert link is not None
    assert link.incident == incident_of("a")


def test_the_owner_the_worse_severity_and_both_timelines_stay(by: User) -> None:
    two()
    source = incident_of("b")
    actions.set_owner(source, by, by=by, now=at(50))
    actions.raise_severity(source, "critical", by=by, now=at(60))
    merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    target = incident_of("a")
    assert (target.owner, target.raised_to) == (by, "critical")
    events = IncidentEvent.objects.filter(kind="merged").order_by("id")
    assert [(one.incident, one.text) for one in events] == [
        (source, f"into #{target.pk}"),
        (target, f"#{source.pk} into this one"),
    ]


@pytest.mark.django_db
def test_an_escalation_goes_on_where_it_was_and_acknowledged_means_quiet() -> None:
    night = Night()
    night.world.fire(0, "x")
    night.world.fire(0, "y", alertname="Other")
    night.run(31)
    first, second = Incident.objects.order_by("pk")
    steps = Escalation.objects.get(incident=first)
    before = len(night.notified())
    assert merge(first, second, by=night.mara, now=at(40))
    both = Escalation.objects.get(incident=second)
    assert (both.step, both.policy_id) == (steps.step, steps.policy_id)
    actions.acknowledge(second, by=night.mara, now=at(41))
    night.run(5000)
    assert not [line for line in night.notified()[before:] if "(escalated)" in line]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("undo", [False, True])
def test_a_flip_that_races_with_a_merge_or_its_undoing_comes_to_the_one_that_is_open(undo: bool) -> None:
    by = User.objects.create_user("ada")
    world = two()
    if undo:
        merge(incident_of("b"), incident_of("a"), by=by, now=at(100))
    world.run(100)
    alert = world._alert("z", {"team": "b"}, at(150))
    alert.save()
    flip = Flip.objects.create(
        alert=alert, from_state=State.INACTIVE, to_state=State.FIRING, at=at(150), value=1, created_at=at(150)
    )

    def write() -> None:
        with transaction.atomic():
            collect([flip], at(150))
        connections.close_all()

    with transaction.atomic():
        # The flip chooses its incident, and then waits for the lock that this transaction has.
        writer = threading.Thread(target=write)
        if undo:
            assert separate(incident_of("b"), by=by, now=at(120))
        else:
            assert merge(incident_of("b"), incident_of("a"), by=by, now=at(120))
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
    writer.join(20)
    open_one = incident_of("b" if undo else "a")
    assert "z" in alerts_of(open_one)
    assert Member.objects.filter(alert=alert).count() == 1
    assert Alert.objects.filter(memberships__incident=open_one, labels__team="b").count() == 2
    flush_due(at(1000))
    assert Incident.objects.filter(closed_at=None).count() == (2 if undo else 1)
