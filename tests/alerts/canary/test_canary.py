"""The portal's own record goes the whole way, hourly; what that takes is measured, notified when it is too long, and
nobody else hears of it."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from django.utils import timezone

import promql
from alerts.canary.figure import delay_figure
from alerts.canary.models import CanaryRun
from alerts.canary.run import DELAY, RECORD, current_delay, forget, pulse
from alerts.evaluation.series import PortalSource
from alerts.evaluation.tick import tick
from alerts.models import Alert, Channel, Delivery, Incident, Rule, RuleGroup
from alerts.notify.channels import create_channel
from alerts.notify.claims import due_channels
from alerts.notify.deliveries import send_channel
from tests.alerts.test_concurrency import queue
from tests.people import browser_of, make_people
from usage.ingest import spool

__all__ = ["queue"]
Change = Callable[..., Any]


@pytest.fixture
def start(tables: None, queue: Celery, default_rules: None) -> dt.datetime:
    """A time shortly ago, at which only the canary's group is due."""
    RuleGroup.objects.update(evaluated_until=timezone.now() + dt.timedelta(days=1))
    return timezone.now() - dt.timedelta(minutes=5)


def go(now: dt.datetime) -> None:
    """Evaluate and send."""
    tick(now, PortalSource(now=now.timestamp()))
    for channel in due_channels(now):
        send_channel(channel, lambda: now)


def delay_at(now: dt.datetime) -> float:
    """What the gauge says."""
    result = promql.instant(DELAY, PortalSource(now=now.timestamp()), int(now.timestamp() * 1000))
    return float(result.values[0, 0])


def test_a_record_goes_the_whole_way_to_the_portals_own_channel(start: dt.datetime) -> None:
    create_channel("slack", "slack", {"url": "https://hooks.slack.com/services/x"})
    pulse(start)
    assert RECORD in {one["__name__"] for one in PortalSource(now=start.timestamp()).series([])}
    go(start + dt.timedelta(seconds=40))
    run = CanaryRun.objects.get()
    assert run.found_at == start + dt.timedelta(seconds=40)
    assert run.arrived_at is not None
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.channel_name) == ("sent", "the portal's canary")
    assert not Incident.objects.exists()
    later = start + dt.timedelta(minutes=3)
    go(later)
    assert Alert.objects.get(rule__name="PortalCanary").state == "resolved"
    assert Delivery.objects.count() == 1
    pulse(later)
    assert CanaryRun.objects.count() == 1
    assert delay_at(later + dt.timedelta(seconds=15)) == pytest.approx(run.delay(later))


def test_no_list_shows_its_channel_and_no_rule_chooses_it(start: dt.datetime) -> None:
    pulse(start)
    go(start + dt.timedelta(seconds=40))
    assert Channel.every.count() == 1
    assert not Channel.objects.exists()


def test_one_that_does_not_arrive_counts_until_a_later_one_does(start: dt.datetime) -> None:
    for minutes, arrived in ((180, 20), (120, None), (60, None)):
        sent = start - dt.timedelta(minutes=minutes)
        end = None if arrived is None else sent + dt.timedelta(seconds=arrived)
        CanaryRun.objects.create(slot=-minutes, sent_at=sent, arrived_at=end)
    assert current_delay(start) == 7200
    CanaryRun.objects.filter(slot=-60).update(arrived_at=start - dt.timedelta(minutes=59))
    assert current_delay(start) == 60
    assert len(delay_figure(start)["data"][0]["y"]) == 3


def test_where_records_do_not_come_in_somebody_is_notified(start: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.canary.run.pipeline.ingest", lambda *_: spool.folder())
    Rule.objects.filter(name="CanaryLate").update(threshold=180)
    now = start
    for seconds in range(0, 320, 20):
        now = start + dt.timedelta(seconds=seconds)
        pulse(now)
    RuleGroup.objects.filter(name="portal").update(evaluated_until=start)
    tick(now + dt.timedelta(seconds=30), PortalSource(now=now.timestamp() + 30))
    alert = Alert.objects.get(rule__name="CanaryLate")
    assert alert.state == "firing"
    assert alert.value > 180


def test_two_beats_send_one_and_zero_minutes_none(start: dt.datetime, configure: Change) -> None:
    pulse(start)
    pulse(start)
    assert CanaryRun.objects.count() == 1
    configure(canary_minutes=0)
    pulse(start + dt.timedelta(hours=2))
    assert CanaryRun.objects.count() == 1


def test_old_runs_are_forgotten(start: dt.datetime) -> None:
    CanaryRun.objects.create(slot=1, sent_at=start - dt.timedelta(days=31))
    CanaryRun.objects.create(slot=2, sent_at=start)
    assert forget(start) == 1


def test_settings_show_it(start: dt.datetime) -> None:
    CanaryRun.objects.create(slot=1, sent_at=start, arrived_at=start + dt.timedelta(seconds=21))
    page = browser_of(make_people().admin).get("/settings/").content.decode()
    assert "Canary: seconds from a record to its message" in page
    assert "[21.0]" in page
