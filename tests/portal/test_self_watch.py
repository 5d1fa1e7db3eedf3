"""The portal says itself that it is impaired, through the channels that it last knew, and stores a spool that nobody
else stores."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from alerts.models import Rule, RuleGroup
from alerts.notify import last_channels
from alerts.notify.channels import create_channel
from portal import self_watch
from portal.env import Config
from tests.postgres import postgres_away
from tests.records import Sender, call
from tests.servers import Answer, HttpServer
from usage.ingest import spool
from usage.models import Record

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def channel(tables: None, http_server: HttpServer, configure: Callable[..., Config]) -> HttpServer:
    """A webhook that takes every alert, over which the portal has looked while all was well, and another for
    information only."""
    configure(outbound_private=True)
    Rule.objects.update(enabled=False)
    create_channel("webhook", "pager", {"url": http_server.url, "token": "s3cret"})
    create_channel("webhook", "news", {"url": http_server.url}, severities=["info"])
    self_watch.look(NOW)
    return http_server


def states(server: HttpServer) -> list[tuple[str, str]]:
    bodies = [json.loads(request.body) for request in server.requests]
    return [(body["status"], body["commonAnnotations"]["summary"]) for body in bodies]


def test_one_message_while_postgres_is_away_and_one_when_it_is_over(channel: HttpServer) -> None:
    with postgres_away():
        self_watch.look(after(10))
        self_watch.look(after(100))
        assert channel.requests == []
        for second in (130, 135, 900):
            self_watch.look(after(second))
        [(state, summary)] = states(channel)
        assert (state, summary.partition(":")[0]) == ("firing", "Postgres does not answer")
    for second in (910, 915):
        self_watch.look(after(second))
    assert [state for state, _ in states(channel)] == ["firing", "resolved"]
    assert self_watch.read() is None


def test_a_short_absence_is_nobody_s_news(channel: HttpServer) -> None:
    with postgres_away():
        self_watch.look(after(10))
    self_watch.look(after(20))
    with postgres_away():
        self_watch.look(after(140))
    assert channel.requests == []


def test_what_was_not_delivered_is_tried_again_and_only_who_heard_of_it_hears_its_end(channel: HttpServer) -> None:
    channel.answers.extend([Answer(503), Answer(503)])
    with postgres_away():
        for second in (0, 130, 135, 140, 145):
            self_watch.look(after(second))
    assert len(channel.requests) == 3
    self_watch.look(after(150))
    assert [state for state, _ in states(channel)] == ["firing", "firing", "firing", "resolved"]


def test_rules_that_stand_still_are_told_too(channel: HttpServer) -> None:
    group = RuleGroup.objects.create(name="mine", interval_seconds=30, evaluated_until=NOW)
    group.rules.create(name="r", title="r", expr="up", enabled=True)
    self_watch.look(after(200))
    self_watch.look(after(330))
    assert states(channel) == [("firing", "Rules are not evaluated: mine")]
    RuleGroup.objects.filter(name="mine").update(evaluated_until=after(335))
    self_watch.look(after(340))
    assert [state for state, _ in states(channel)] == ["firing", "resolved"]


def test_the_channels_secrets_are_not_readable_beside_the_spool(channel: HttpServer) -> None:
    data = last_channels.path().read_bytes()
    assert (b"s3cret" in data, channel.url.encode() in data, b"pager" in data) == (False, False, True)
    assert last_channels.path().stat().st_mode & 0o077 == 0


def test_a_spool_that_no_worker_stores_is_stored_by_the_web_server(
    sender: Sender, fixed_time: datetime, spool_folder: Path
) -> None:
    sender.post([])
    with postgres_away():
        sender.post([call()])
    now = timezone.now().timestamp()
    assert self_watch.drain_if_nobody_does(now + 10) == 0
    assert self_watch.drain_if_nobody_does(now + 30) == 1
    assert (Record.objects.count(), spool.files()) == (1, [])


def test_one_process_of_a_machine_watches(tables: None) -> None:
    with self_watch.this_machine() as mine, self_watch.this_machine() as other:
        assert (mine, other) == (True, False)
