"""Channels that take so many messages and no more: what waits there goes as one digest, and nothing is lost."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from alerts.incidents.actions import acknowledge
from alerts.models import Channel, Delivery, DeliveryAttempt, Incident, Severity
from alerts.notify.channels import create_channel
from alerts.notify.claims import CLAIM, claim, due_channels
from alerts.notify.deliveries import send_channel, send_claimed
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import ConfigInvalid, DeliveryError, Message
from tests.alerts.incidents.world import World, at
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db
ROUTE: dict[str, Any] = {"receiver": "a", "group_by": ["name"], "group_wait": "0s", "group_interval": "1s"}


class Phone:
    """A channel that keeps what it is sent, and fails when asked to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fails = 0

    def notify(self, message: Message, config: dict[str, Any]) -> str:
        if self.fails:
            self.fails -= 1
            raise DeliveryError("busy", retry=True)
        self.messages.append(message)
        return "ok"

    def titles(self) -> list[str]:
        found, self.messages = [message.title for message in self.messages], []
        return found


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Phone:
    found = Phone()
    monkeypatch.setattr(TRANSPORTS["webhook"], "notify", found.notify)
    return found


@pytest.fixture
def world(phone: Phone) -> World:
    """A channel that takes three messages in 100 s, and an incident for each name."""
    found = World(ROUTE)
    found.arrive = lambda **_: None  # type: ignore[method-assign]
    Channel.objects.update(rate_limit=3, rate_seconds=100)
    return found


def send(world: World, seconds: float) -> int:
    world.run(seconds)
    return sum(send_channel(channel, lambda: at(seconds)) for channel in due_channels(at(seconds)))


def test_the_last_message_of_a_span_carries_all_that_waits(world: World, phone: Phone) -> None:
    world.fire(0, *"abcdefgh")
    assert send(world, 1) == 3
    assert phone.titles() == ["World", "World", "6 incidents: 6 firing"]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
    assert DeliveryAttempt.objects.filter(ok=True).count() == 8
    world.fire(10, *"ijkl")
    world.resolve(20, "i", "a")
    assert send(world, 99) == 0
    assert send(world, 102) == 3
    assert phone.titles() == ["World", "World", "4 incidents: 2 firing, 2 resolved"]


def test_a_digest_names_the_worst_incidents_and_carries_every_alert(world: World, phone: Phone) -> None:
    Channel.objects.update(rate_limit=1)
    for number in range(12):
        world.fire(number, f"w{number}", severity=Severity.WARNING)
    world.fire(20, "bad", severity=Severity.CRITICAL)
    world.resolve(30, "w3")
    assert send(world, 40) == 1
    (message,) = phone.messages
    lines = message.description.splitlines()
    assert (message.title, message.severity, message.state) == (
        "13 incidents: 12 firing, 1 resolved",
        "critical",
        "firing",
    )
    assert (lines[0], lines[1], lines[-1], len(lines)) == (
        "Critical: World",
        "Warning: World",
        "and 3 more incidents",
        11,
    )
    assert message.note == "One message for 14: the channel takes 1 in 1.7 min."
    assert {line.labels["name"]: line.firing for line in message.alerts} == {
        "bad": True, **{f"w{number}": number != 3 for number in range(12)}
    }  # fmt: skip
    assert message.key == f"digest-{Delivery.objects.values_list('digest', flat=True).distinct().get()}"


@pytest.mark.long
def test_a_storm_of_5000_incidents_is_one_message_in_a_few_statements(
    world: World, phone: Phone, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    Channel.objects.update(rate_limit=1)
    names = [f"host{number}" for number in range(5000)]
    world.fire(0, *names)
    world.run(1)
    (channel,) = due_channels(at(1))
    with django_assert_max_num_queries(30):
        assert send_channel(channel, lambda: at(1)) == 1
    assert phone.messages[0].title == "5,000 incidents: 5,000 firing"
    assert len(phone.messages[0].description.splitlines()) == 11
    assert {line.labels["name"] for line in phone.messages[0].alerts} == set(names)


def test_a_digest_that_fails_is_tried_again_as_the_same(world: World, phone: Phone) -> None:
    Channel.objects.update(rate_limit=1)
    world.fire(0, *"abc")
    phone.fails = 1
    assert send(world, 1) == 1
    world.fire(5, "late")
    assert send(world, 60) == 1
    assert phone.titles() == ["3 incidents: 3 firing"]
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 2, 2, 2]
    assert send(world, 200) == 1
    assert phone.titles() == ["World"]


def test_a_worker_that_died_with_a_digest_has_it_sent_again_under_the_same_key(world: World, phone: Phone) -> None:
    Channel.objects.update(rate_limit=1)
    world.fire(0, *"abc")
    world.run(1)
    (channel,) = due_channels(at(1))
    first = claim(channel, at(1))
    assert first is not None
    assert claim(channel, at(2)) is None
    again = claim(channel, at(1) + CLAIM + dt.timedelta(seconds=1))
    assert again is not None
    assert again.deliveries[0].digest == first.deliveries[0].digest
    send_claimed(again, lambda: at(100))
    send_claimed(first, lambda: at(101))  # the claim was lost: it has no part left
    assert phone.titles() == ["3 incidents: 3 firing"]


def test_what_nobody_needs_is_left_out_of_a_digest(world: World, phone: Phone) -> None:
    Channel.objects.update(rate_limit=1)
    world.fire(0, *"abc")
    Delivery.objects.filter(incident__group_labels__name="a").update(why="escalated")
    incident = Incident.objects.get(group_labels__name="a")
    acknowledge(incident, by=make_people().admin, now=at(1))
    world.run(1)
    # This end was never heard of: its beginning failed for good.
    Delivery.objects.filter(incident__group_labels__name="b").update(state="failed")
    ended = Delivery.objects.get(incident__group_labels__name="b")
    Delivery.objects.create(
        **{name: getattr(ended, name) for name in ("flip", "alert", "channel", "channel_name", "incident")},
        number=2,
        resolved=ended.firing,
        created_at=at(1),
        next_attempt_at=at(1),
    )
    assert send(world, 2) == 1
    assert phone.titles() == ["World"]
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["failed", "sent", "skipped", "skipped"]


def test_services_that_resolve_each_incident_take_no_limit() -> None:
    with pytest.raises(ConfigInvalid, match="item of its own in PagerDuty"):
        create_channel("pagerduty", "p", {"routing_key": "k" * 32}, rate_limit=5)
    with pytest.raises(ConfigInvalid, match="must be 1 to 1000"):
        create_channel("webhook", "w", {"url": "https://hooks.example.org/"}, rate_limit=0)
    with pytest.raises(ConfigInvalid, match="must be 10 to 86400"):
        create_channel("webhook", "w", {"url": "https://hooks.example.org/"}, rate_limit=1, rate_seconds=1)


def test_the_limit_is_set_on_the_page_and_shown() -> None:
    channel = create_channel("webhook", "w", {"url": "https://hooks.example.org/"})
    client = browser_of(make_people().admin)
    form = {"name": "w", "enabled": "on", "rate_limit": "5", "rate_seconds": "15m"}
    assert client.post(f"/channels/{channel.pk}/edit/", form).status_code == 302
    channel.refresh_from_db()
    assert (channel.rate_limit, channel.rate_seconds) == (5, 900)
    assert "at most 5" in client.get(f"/channels/{channel.pk}/").content.decode()
