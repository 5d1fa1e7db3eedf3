"""Messages that are claimed together: each is still sent by itself, and what is not sent is nobody's."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from alerts.incidents.actions import acknowledge
from alerts.models import Channel, Delivery, Incident
from alerts.notify.claims import CLAIM, claim
from alerts.notify.deliveries import BATCH, send_channel, send_claimed
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import DeliveryError, Message
from tests.alerts.incidents.world import World, at
from tests.people import make_people

pytestmark = pytest.mark.django_db


class Receiver:
    """Keeps what it is sent; before that it does what `meanwhile` says, by the number of the message."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.meanwhile: dict[int, Callable[[], None]] = {}

    def notify(self, message: Message, config: dict[str, Any]) -> str:
        self.meanwhile.get(len(self.names), lambda: None)()
        self.names.append(message.labels["name"])
        return "ok"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = at(10)

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    found = Receiver()
    monkeypatch.setattr(TRANSPORTS["webhook"], "notify", found.notify)
    return found


@pytest.fixture
def channel(receiver: Receiver) -> Channel:
    """Six messages wait on it, of an incident each."""
    world = World({"receiver": "a", "group_by": ["name"], "group_wait": "0s"})
    world.arrive = lambda **_: None  # type: ignore[method-assign]
    world.fire(0, *"abcdef")
    world.run(1)
    return world.channels["a"]


def states() -> str:
    """State and tries of each delivery, in order."""
    rows = Delivery.objects.order_by("id").values_list("state", "attempts")
    return " ".join(f"{state}{attempts}" for state, attempts in rows)


def test_a_message_takes_six_statements_beside_its_share_of_the_claims(
    channel: Channel, receiver: Receiver, django_assert_num_queries: Callable[..., Any]
) -> None:
    claimed = claim(channel.pk, at(10), BATCH)
    assert claimed is not None
    # Traces, marks, edits, keys and earlier alerts behind the alert, and the result; the template is read once.
    with django_assert_num_queries(6 * 6 + 1):
        assert send_claimed(claimed, Clock()) == 6
    assert receiver.names == list("abcdef")
    assert states() == "sent1 sent1 sent1 sent1 sent1 sent1"


def test_what_was_not_begun_in_time_is_given_back_untried(channel: Channel, receiver: Receiver) -> None:
    clock = Clock()
    receiver.meanwhile = {1: lambda: clock.forward(2)}
    claimed = claim(channel.pk, clock(), BATCH)
    assert claimed is not None
    assert send_claimed(claimed, clock) == 2
    assert states() == "sent1 sent1 pending0 pending0 pending0 pending0"
    assert send_channel(channel.pk, clock) == 4
    assert receiver.names == list("abcdef")


def test_a_channel_that_is_slow_has_one_message_claimed_at_a_time(channel: Channel, receiver: Receiver) -> None:
    clock, sending = Clock(), []

    def slow() -> None:
        sending.append(Delivery.objects.filter(state="sending").count())
        clock.forward(2)

    receiver.meanwhile = dict.fromkeys(range(6), slow)
    assert send_channel(channel.pk, clock) == 6
    assert sending == [1] * 6


def test_where_one_fails_the_others_of_its_claim_wait_untried(channel: Channel, receiver: Receiver) -> None:
    def fail() -> None:
        receiver.meanwhile = {}
        raise DeliveryError("busy", retry=True, after=60)

    receiver.meanwhile = {2: fail}
    clock = Clock()
    claimed = claim(channel.pk, clock(), BATCH)
    assert claimed is not None
    assert send_claimed(claimed, clock) == 3
    assert states() == "sent1 sent1 pending1 pending0 pending0 pending0"
    clock.forward(59)
    assert send_channel(channel.pk, clock) == 0
    clock.forward(1)
    assert send_channel(channel.pk, clock) == 4
    assert receiver.names == list("abcdef")


def test_who_acknowledges_while_an_earlier_message_is_sent_is_not_told_again(
    channel: Channel, receiver: Receiver
) -> None:
    Delivery.objects.update(why="repeat")
    incident, people = Incident.objects.get(group_labels__name="c"), make_people()
    receiver.meanwhile = {1: lambda: acknowledge(incident, by=people.admin, now=at(10)) and None}
    claimed = claim(channel.pk, at(10), BATCH)
    assert claimed is not None
    send_claimed(claimed, Clock())
    assert receiver.names == list("abdef")
    assert states() == "sent1 sent1 skipped1 sent1 sent1 sent1"


def test_all_that_a_dead_worker_had_claimed_is_sent_by_another_and_nothing_by_the_dead_one(
    channel: Channel, receiver: Receiver
) -> None:
    clock = Clock()
    lost = claim(channel.pk, clock(), 3)
    assert lost is not None
    assert states() == "sending1 sending1 sending1 pending0 pending0 pending0"
    assert send_channel(channel.pk, clock) == 0
    clock.now += CLAIM
    assert send_channel(channel.pk, clock) == 6
    assert receiver.names == list("abcdef")
    clock.forward(1)
    assert send_claimed(lost, clock) == 0
    assert states() == "sent2 sent2 sent2 sent1 sent1 sent1"


def test_of_an_incident_no_message_is_claimed_beside_an_earlier_one(channel: Channel) -> None:
    first = Delivery.objects.order_by("id")[0]
    fields = ("flip", "alert", "channel", "channel_name", "incident", "firing", "created_at", "next_attempt_at")
    later = Delivery.objects.create(**{name: getattr(first, name) for name in fields}, number=2)
    claimed = claim(channel.pk, at(10), BATCH)
    assert claimed is not None
    assert [one.pk for one in claimed.deliveries] == [first.pk + place for place in range(6)]
    send_claimed(claimed, Clock())
    again = claim(channel.pk, at(10), BATCH)
    assert again is not None
    assert again.deliveries == [later]
