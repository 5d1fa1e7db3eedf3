"""Storms, dead channels, many workers and workers that die: one readable message per incident, and nothing is lost or
sent twice."""

import datetime as dt
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction

from alerts.evaluation.schedule import evaluation_delay
from alerts.incidents import collect as collecting
from alerts.incidents.collect import flush_due
from alerts.incidents.lost_slots import LATE
from alerts.models import Channel, Delivery, Incident, Member, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from alerts.notify.incident_message import delivery_message
from alerts.notify.transports import slack
from alerts.notify.transports.webhook import payload
from tests.alerts.incidents.world import World, at
from tests.alerts.test_concurrency import committed, in_a_process_that_dies, queue
from tests.servers import Answer, HttpServer

__all__ = ["committed", "queue"]

ROUTE: dict[str, Any] = {"receiver": "a", "group_by": ["team"], "group_wait": "30s", "group_interval": "5m"}
NAMES = [f"host{number}" for number in range(5000)]


@pytest.mark.django_db
@pytest.mark.long
def test_a_storm_of_5000_alerts_is_one_readable_message_within_its_group_wait() -> None:
    world = World(ROUTE)
    world.fire(0, *NAMES, team="t")
    assert [(line.split()[0], line.count("+")) for line in world.messages(40)] == [("30", 5000)]
    delivery = Delivery.objects.select_related("incident", "channel", "flip__alert__rule__runbook").get()
    message = delivery_message(delivery, at(30))
    assert message.title.endswith(" and 4,999 more")
    lines = message.description.splitlines()
    assert (lines[0], len(lines), lines[-1]) == ("5,000 firing", 12, "and 4,990 more")
    assert len(json.dumps(slack.payload(message))) < 10_000
    body = payload(message)
    assert {alert["labels"]["name"] for alert in body["alerts"]} == set(NAMES)
    assert (body["truncatedAlerts"], body["commonLabels"]) == (0, {"alertname": "World", "team": "t"})
    world.resolve(100, *NAMES)
    assert [(line.split()[0], line.count(" -")) for line in world.messages(400)] == [("30", 0), ("330", 5000)]
    assert Incident.objects.get().closed_at is not None
    assert not Member.objects.filter(done=False).exists()


@pytest.mark.django_db
def test_the_statements_of_a_flush_do_not_grow_with_the_alerts(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    world = World(ROUTE)
    world.fire(0, *NAMES[:300], team="t")
    with django_assert_max_num_queries(16):
        assert flush_due(at(30)) == 1


@pytest.mark.django_db
def test_the_statements_of_a_flush_do_not_grow_with_the_incidents(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    world = World({**ROUTE, "group_by": ["name"]})
    world.fire(0, *NAMES[:300])
    with django_assert_max_num_queries(18):
        assert flush_due(at(30)) == 300
    assert Delivery.objects.filter(created_at=at(30)).count() == 300


@pytest.mark.django_db
def test_an_incident_that_cannot_be_flushed_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World({**ROUTE, "group_by": ["name"]})
    world.fire(0, *NAMES[:5])
    odd = Incident.objects.order_by("id")[2].pk
    flushing = collecting.flush

    def fail(group: Any, *rest: Any) -> Any:
        if group.incident.pk == odd:
            raise ZeroDivisionError
        return flushing(group, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(collecting, "flush", fail)
        assert flush_due(at(30)) == 4
    assert f"incident {odd} could not be flushed" in caplog.text
    assert flush_due(at(32)) == 1


@pytest.mark.django_db
def test_a_message_waits_for_rules_whose_evaluation_was_lost_but_not_for_long() -> None:
    world = World(ROUTE)
    group = RuleGroup.objects.filter(pk=world.rule.group_id)
    world.fire(0, "x")
    delay = evaluation_delay()
    # The slot of half a minute ago should have been evaluated a second before the message is due.
    group.update(interval_seconds=1, evaluated_until=at(28) - delay)
    assert flush_due(at(30)) == 0
    group.update(evaluated_until=at(30) - delay)
    assert flush_due(at(31)) == 1
    # What was due after the message's own time is not waited for.
    assert Delivery.objects.get().created_at == at(31)
    world.fire(40, "y")
    due = Incident.objects.get().flush_at
    assert due is not None
    group.update(evaluated_until=at(200) - delay)
    assert flush_due(due + LATE - dt.timedelta(seconds=1)) == 0
    assert flush_due(due + LATE) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(429, b"", {"Retry-After": "600"}),
        Answer(302, b"", {"Location": "http://10.0.0.1/"}),
        Answer(200, b"x" * 3_000_000),
    ],
    ids=["500", "429", "redirect", "a large answer"],
)
def test_a_channel_that_fails_delays_no_other(
    answer: Answer, http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    world = World(None, "good")
    http_server.answers.append(answer)
    bad = create_channel("webhook", "bad", {"url": f"{http_server.url}/bad"})
    Channel.objects.filter(name="good").delete()
    good = create_channel("webhook", "good", {"url": f"{http_server.url}/good"})
    world.arrive = lambda **_: None  # type: ignore[method-assign]
    world.fire(0, "x")
    send_channel(bad.pk, lambda: at(1))
    assert send_channel(good.pk, lambda: at(1)) == 1
    assert [request.path for request in http_server.requests] == ["/bad", "/good"]
    assert Delivery.objects.get(channel=good).state == "sent"


def together(work: Callable[[], int], workers: int) -> list[int]:
    """What several threads return that begin at once, each with a connection of its own."""
    barrier = threading.Barrier(workers)

    def one(_: int) -> int:
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, range(workers)))


@pytest.fixture
def waiting(committed: None) -> World:
    """Twelve incidents that are due at second 30."""
    world = World({**ROUTE, "group_by": ["name"]})
    world.fire(0, *NAMES[:12])
    return world


def test_many_workers_flush_each_incident_once(waiting: World) -> None:
    assert sum(together(lambda: flush_due(at(30)), 4)) == 12
    assert Delivery.objects.count() == 12
    assert sorted(Incident.objects.values_list("notifications", flat=True)) == [1] * 12


def test_a_worker_killed_in_the_middle_of_a_flush_loses_and_repeats_nothing(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = collecting.save_groups

    def save_and_die(*args: Any) -> None:
        saved(*args)
        if Delivery.objects.count() == 12:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(collecting, "save_groups", save_and_die)
        in_a_process_that_dies(lambda: flush_due(at(30)))
    assert Delivery.objects.count() == 0
    assert flush_due(at(31)) == 12
    assert Delivery.objects.count() == 12
    assert len(due_channels(at(31))) == 1


def test_flips_and_flushes_of_one_incident_at_once_wait_for_each_other(committed: None) -> None:
    world = World({**ROUTE, "group_wait": "0s", "group_interval": "1s"})
    world.fire(0, "first", team="t")

    def fire(number: int) -> None:
        try:
            world.fire(5, f"late{number}", team="t")
            flush_due(at(10))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=fire, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flush_due(at(20))
    newest = Delivery.objects.order_by("-id")[0]
    assert len(newest.firing) == 7
    assert Incident.objects.count() == 1
    numbers = list(Delivery.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def test_what_is_rolled_back_leaves_no_place_in_an_incident(committed: None) -> None:
    world = World(ROUTE)

    def fire_and_fail() -> None:
        with transaction.atomic():
            world.fire(0, "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fire_and_fail()
    assert (Incident.objects.count(), Member.objects.count()) == (0, 0)
    assert connection.get_autocommit()
