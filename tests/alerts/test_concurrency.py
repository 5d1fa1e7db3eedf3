"""Several beats and workers at once, and workers that die: the flips and deliveries are those of one."""

import datetime as dt
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery, _state
from django.db import connections

import promql
from alerts.evaluation.tick import tick
from alerts.models import Alert, Delivery, Rule, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.claims import claim, due_channels
from alerts.notify.deliveries import send_channel
from alerts.notify.wake import SEND
from tests.alerts.scripted_rules import DELAY, flip_lines, gauge, make_rule, minute
from tests.servers import HttpServer

VALUES: dict[str, list[float | None]] = {
    "a": [9, 9, 0, 9, 9, 9, 9, 0],
    "b": [0, 7, 7, 7, None, 9, 0, 0],
    "c": [6, 6, 6, 6, 6, 6, 6, 6],
}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An empty queue in memory, for every thread."""
    app = Celery("test", broker="memory://", set_as_current=False)
    with app.connection_for_write() as connection:
        connection.SimpleQueue("celery").clear()
    monkeypatch.setattr(_state, "default_app", app)
    monkeypatch.setattr(_state._tls, "current_app", app)
    yield app
    app.close()


@pytest.fixture
def committed(transactional_db: None, queue: Celery) -> None:
    """The database without a transaction around the test, in which only the test's own groups are due."""
    RuleGroup.objects.update(evaluated_until=minute(1000))


def rules_of(name: str) -> list[Rule]:
    """Six rules of different times, one group each."""
    times = [(0, 0), (60, 0), (120, 0), (0, 120), (60, 60), (180, 0)]
    return [
        make_rule(name=f"{name}{number}", for_seconds=for_seconds, keep_firing_seconds=keep)
        for number, (for_seconds, keep) in enumerate(times)
    ]


def together(work: Callable[[], Any], workers: int) -> list[Any]:
    """Run it in so many threads that start at one moment, each with its own connection."""
    barrier = threading.Barrier(workers)

    def one(_: int) -> Any:
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, range(workers)))


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("stride", [1, 4])
def test_two_beats_and_four_workers_flip_as_one_does(stride: int) -> None:
    channel = create_channel("slack", "slack", {"url": "https://hooks.slack.com/services/x"})
    source = gauge(VALUES)
    alone, many = rules_of("Alone"), rules_of("Many")
    ticks = [minute(number) + DELAY for number in range(stride - 1, 8, stride)]
    RuleGroup.objects.filter(rules__in=many).update(evaluated_until=minute(1000))
    for now in ticks:
        tick(now, source)
    RuleGroup.objects.filter(rules__in=many).update(evaluated_until=minute(-1))
    slots = 0
    for now in ticks:
        # Each of four workers has the task of each of two beats.
        slots += sum(together(lambda now=now: tick(now, source), 8))  # type: ignore[misc]
    assert slots == 8 * len(many)
    assert [flip_lines(rule) for rule in many] == [flip_lines(rule) for rule in alone]
    assert len(flip_lines(many[0])) > 3
    deliveries = [Delivery.objects.filter(alert__rule__in=rules, channel=channel).count() for rules in (alone, many)]
    assert deliveries[0] == deliveries[1] > 0


class Dying:
    """A source whose process is killed at its third read, in the middle of a group."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner = inner
        self.reads = 0

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        self.reads += 1
        if self.reads == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner.select(matchers, start_ms, end_ms, hints)


def in_a_process_that_dies(work: Callable[[], Any]) -> None:
    """Run it in a forked process, which must end by SIGKILL."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.usefixtures("committed")
def test_a_worker_killed_in_the_middle_of_a_group_loses_and_repeats_nothing() -> None:
    source = gauge({"a": [9]})
    group = make_rule(name="First").group
    for number in range(4):
        Rule.objects.create(group=group, name=f"Next{number}", expr=f"load > {number}", position=number + 1)
    # A different selector each, so that each is a read.
    for rule in Rule.objects.filter(group=group):
        Rule.objects.filter(pk=rule.pk).update(expr=f"avg_over_time(load[{rule.position + 1}m]) > 1", threshold=None)
    now = minute(0) + DELAY
    in_a_process_that_dies(lambda: tick(now, Dying(source)))
    assert Alert.objects.count() == 0
    group.refresh_from_db()
    assert group.evaluated_until == minute(-1)
    assert tick(now, source) == 1
    assert tick(now, source) == 0
    assert Alert.objects.count() == 5


@pytest.mark.usefixtures("committed")
def test_what_a_killed_worker_was_sending_is_sent_by_another(
    http_server: HttpServer, portal_setting: Callable[..., None]
) -> None:
    portal_setting(outbound_private=True)
    channel = create_channel("slack", "slack", {"url": http_server.url})
    make_rule()
    now = minute(0) + DELAY
    tick(now, gauge({"a": [9]}))

    def claim_and_die() -> None:
        claim(channel.pk, now)
        os.kill(os.getpid(), signal.SIGKILL)

    in_a_process_that_dies(claim_and_die)
    assert Delivery.objects.get().state == "sending"
    later = now + dt.timedelta(seconds=90)
    assert due_channels(now + dt.timedelta(seconds=89)) == []
    assert sum(send_channel(pk, lambda: later) for pk in due_channels(later)) == 1
    assert len(http_server.requests) == 1


@pytest.mark.usefixtures("committed")
def test_many_workers_send_each_message_once(http_server: HttpServer, portal_setting: Callable[..., None]) -> None:
    portal_setting(outbound_private=True)
    channel = create_channel("slack", "slack", {"url": http_server.url})
    for _ in range(12):
        make_rule()
    now = minute(0) + DELAY
    tick(now, gauge({"a": [9]}))
    assert sum(together(lambda: send_channel(channel.pk, lambda: now), 4)) == 12
    assert len(http_server.requests) == 12
    assert set(Delivery.objects.values_list("state", "attempts")) == {("sent", 1)}


@pytest.mark.usefixtures("committed")
def test_channels_are_woken_after_the_commit(queue: Celery) -> None:
    channel = create_channel("slack", "slack", {"url": "https://hooks.slack.com/services/x"})
    make_rule()
    tick(minute(0) + DELAY, gauge({"a": [9]}))
    with queue.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=1)
    assert message.headers["task"] == SEND
    assert message.payload[0] == [channel.pk]
