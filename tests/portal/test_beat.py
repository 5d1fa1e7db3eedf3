"""Beat asks whether a task has something to do before it sends it."""

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery.beat import ScheduleEntry
from django.db import connection
from django.utils import timezone

from alerts.models import RuleGroup
from core.pg.exists import AnyExists
from portal import beat
from portal.celery import SCHEDULE, app
from telemetry.deciding import waiting
from usage.ingest import spool
from usage.models import DemoTraffic
from usage.samples import demo

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class Sent(beat.AskingScheduler):
    """Notes what it would send."""

    names: list[str]

    def apply_async(self, entry: ScheduleEntry, *args: Any, **options: Any) -> None:
        self.names.append(entry.name)


def running() -> None:
    """Demo traffic, sent until NOW."""
    later = timezone.now() + dt.timedelta(hours=1)
    DemoTraffic.objects.create(pk=1, started_at=NOW, ends_at=later, sent_until=NOW)


def scheduler(folder: Path) -> Sent:
    """A scheduler that has sent nothing yet."""
    made = Sent(app, schedule_filename=str(folder / "schedule"))
    made.names = []
    return made


def test_what_it_asks_about_is_on_the_schedule() -> None:
    assert set(beat.HAS_WORK) <= set(SCHEDULE)
    assert app.conf.beat_scheduler == "portal.beat:AskingScheduler"


def test_a_portal_at_rest_has_nothing_to_do() -> None:
    RuleGroup.objects.update(evaluated_until=timezone.now())
    left = {"drain spool"} if spool.files() else set()  # other tests share the folder
    assert {name for name, ask in beat.HAS_WORK.items() if ask(timezone.now())} == left


def test_what_others_left_is_seen() -> None:
    RuleGroup.objects.create(name="due", interval_seconds=5, evaluated_until=NOW - dt.timedelta(minutes=5))
    assert beat.has_work("evaluate rules")
    running()
    assert beat.has_work("send demo traces")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO telemetry_waiting (receipt, since, data) VALUES (%s, %s, '')", [uuid.uuid4(), NOW])
    assert waiting.is_any(30)
    assert beat.has_work("count usage of spans")
    batch = spool.folder() / f"1-{uuid.uuid4()}{spool.SUFFIX}"
    batch.write_bytes(b"")
    try:
        assert beat.has_work("drain spool")
    finally:
        batch.unlink()


def test_one_statement_asks_at_any_time() -> None:
    running()
    ask = AnyExists(lambda now: RuleGroup.objects.filter(name=""), demo.to_send)
    until = NOW
    assert [ask(until + dt.timedelta(seconds=seconds)) for seconds in (-1, 1, -1)] == [False, True, False]


def test_each_task_is_sent_once_in_a_while_whatever_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr("portal.beat.time.monotonic", lambda: clock)
    one = scheduler(tmp_path)
    entry = one.schedule["flush incidents"]
    one.apply_entry(entry)
    clock += 10
    one.apply_entry(entry)
    assert one.names == ["flush incidents"]
    clock += beat.AT_LEAST_SECONDS
    one.apply_entry(entry)
    assert one.names == ["flush incidents"] * 2
    always = one.schedule["heartbeat"]
    one.apply_entry(always)
    one.apply_entry(always)
    assert one.names[2:] == ["heartbeat"] * 2


def test_where_it_cannot_be_found_out_the_task_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: dt.datetime) -> bool:
        raise OSError("no such folder")

    monkeypatch.setitem(beat.HAS_WORK, "drain spool", fail)
    monkeypatch.setattr("portal.beat.connection.close", lambda: None)
    assert beat.has_work("drain spool")
