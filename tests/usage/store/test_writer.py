"""4-5: one transaction per batch, whatever else goes on; coarser grains; retention."""

import json
import math
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.accounts import keys
from portal.env import Config
from tests.records import NOW, Sender, call, forget, measures, rows, scalar
from usage.ingest import pipeline
from usage.models import Dimension, DirtyBucket, GaugeSample, Record, Rollup1h, Rollup5m, Rollup15s
from usage.store import downsampling, partitions, retention, watermark

pytestmark = pytest.mark.usefixtures("fixed_time")


def by_bucket(table: str) -> dict[Any, float]:
    """The count of calls per bucket."""
    return dict(
        rows(
            f"SELECT bucket, sum(measures[1]) FROM {table} t JOIN usage_dimension d ON d.id = t.dimension_id"
            " WHERE d.kind = 'llm_call' GROUP BY 1"
        )
    )


def execute(statement: str) -> None:
    """A statement without rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_record_goes_to_the_bucket_of_its_own_time(sender: Sender) -> None:
    at = NOW.replace(second=44)
    sender.post([call(at=at), call(at=at + timedelta(seconds=1)), call(at=at - timedelta(hours=3))])
    assert by_bucket("usage_rollup_15s") == {
        at.replace(second=30): 1,
        at.replace(second=45): 1,
        at.replace(second=30) - timedelta(hours=3): 1,
    }


def test_a_time_between_microseconds_is_rounded_before_anything_asks_for_its_day(sender: Sender) -> None:
    batch = [call(at=math.nextafter(NOW.replace(hour=0, minute=0, second=0).timestamp(), 0))]
    assert sender.post(batch).json()["accepted"] == 1
    again = sender.post(batch).json()
    assert (again["accepted"], again["duplicates"], "spooled" in again) == (0, 1, False)
    assert by_bucket("usage_rollup_15s") == {NOW.replace(hour=0, minute=0, second=0): 1}


def test_measures_are_laid_out_by_the_catalog(sender: Sender) -> None:
    sender.post(
        [
            call(duration_seconds=0.25, rate_limit_delay_seconds=61, cached_tokens=7, cost_usd=0.5),
            call(duration_seconds=0.26),
        ]
    )
    found = measures()
    assert (found["count"], found["prompt_tokens"], found["completion_tokens"], found["cached_tokens"]) == (
        2,
        200,
        40,
        7,
    )
    assert found["cost_usd"] == pytest.approx(0.5 + (100 * 2.5 + 20 * 10) / 1e6)
    array = scalar(
        "SELECT measures FROM usage_total t JOIN usage_dimension d ON d.id = t.dimension_id WHERE d.kind = 'llm_call'"
    )
    assert array[7:19] == pytest.approx([0.51, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])  # le 0.25 holds 0.25 itself
    assert array[19:29] == [61, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_batches_at_once_count_each_event_once(sender: Sender) -> None:
    events = [call(model=f"m{number % 7}") for number in range(300)]
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    accepted: list[int] = []
    failed: list[Exception] = []

    def send(turn: int) -> None:
        try:
            for start in range(0, 300, 50):
                part = events[start : start + 50]
                body = json.dumps(part if turn % 2 else part[::-1]).encode()
                answer = pipeline.ingest(body, caller, NOW.timestamp())
                assert not answer.spooled
                accepted.append(answer.accepted)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sum(accepted) == 300
    assert (Record.objects.count(), measures()["count"], measures()["prompt_tokens"]) == (300, 300, 30_000)


def test_a_failure_within_the_transaction_leaves_nothing(sender: Sender) -> None:
    batch = [call()]
    execute("ALTER TABLE usage_total ADD CONSTRAINT broken CHECK (false) NOT VALID")  # the totals are written last
    answer = sender.post(batch).json()
    execute("ALTER TABLE usage_total DROP CONSTRAINT broken")
    assert (answer["accepted"], answer["spooled"]) == (1, True)
    assert Record.objects.count() == 0
    assert measures()["count"] == 0
    assert sender.post(batch).json()["accepted"] == 1
    assert pipeline.drain() == 1
    assert (Record.objects.count(), measures()["count"]) == (1, 1)


def test_coarser_grains_hold_the_sums_of_the_finer(sender: Sender) -> None:
    start = NOW.replace(minute=0, second=0)
    times = [start + timedelta(seconds=7 * number) for number in range(600)]
    sender.post([call(at=at, model=f"m{number % 3}") for number, at in enumerate(times)])
    assert downsampling.downsample(timezone.now()) == 14
    assert by_bucket("usage_rollup_5m") == Counter(at.replace(minute=at.minute // 5 * 5, second=0) for at in times)
    assert by_bucket("usage_rollup_1h") == {start: 515, start + timedelta(hours=1): 85}
    assert measures("usage_rollup_1h") == pytest.approx(measures())
    assert downsampling.downsample(timezone.now()) == 0


def test_a_late_record_reaches_the_coarser_grains(sender: Sender) -> None:
    sender.post([call()])
    downsampling.downsample(timezone.now())
    sender.post([call(), call(at=NOW - timedelta(hours=5))])
    assert DirtyBucket.objects.filter(bucket__lte=NOW).count() == 2
    downsampling.downsample(timezone.now())
    assert sum(by_bucket("usage_rollup_5m").values()) == sum(by_bucket("usage_rollup_1h").values()) == 3


def test_downsampling_that_died_is_taken_up_again(sender: Sender) -> None:
    sender.post([call()])
    downsampling.claim(timezone.now())  # and then the worker dies
    sender.post([call()])
    assert sorted(DirtyBucket.objects.filter(bucket__lte=NOW).values_list("claimed", flat=True)) == [False, True]
    downsampling.downsample(timezone.now())
    assert by_bucket("usage_rollup_5m") == {NOW.replace(minute=5, second=0): 2}
    assert not DirtyBucket.objects.filter(bucket__lte=NOW).exists()


def test_a_bucket_is_not_downsampled_before_it_is_over(sender: Sender) -> None:
    sender.post([call()])
    assert downsampling.downsample(NOW + timedelta(minutes=2)) == 0
    assert downsampling.downsample(NOW + timedelta(minutes=3)) == 1


def test_downsampling_waits_for_storing_under_way_and_misses_nothing(sender: Sender) -> None:
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    stop = threading.Event()

    def downsample() -> None:
        while not stop.is_set():
            downsampling.downsample(timezone.now())
        connection.close()

    thread = threading.Thread(target=downsample)
    thread.start()
    for _ in range(30):
        body = json.dumps([call(model=f"m{number}") for number in range(5)]).encode()
        assert not pipeline.ingest(body, caller, NOW.timestamp()).spooled
    stop.set()
    thread.join()
    downsampling.downsample(timezone.now())
    assert by_bucket("usage_rollup_5m") == {NOW.replace(minute=5, second=0): 150}


def test_old_data_goes_by_dropping_partitions(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(
        retention_15s_days=3,
        retention_5m_days=60,
        retention_1h_days=400,
        retention_records_days=30,
        record_max_age=10**9,
    )
    days = [1, 20, 40, 100]
    partitions.ensure_ahead(NOW)
    batch = [call(at=NOW - timedelta(days=day)) for day in days]
    configure(retention_records_days=36_500)
    sender.post(batch)
    downsampling.downsample(timezone.now())
    configure(retention_records_days=30)
    retention.drop_old(NOW)
    kept = [
        model.objects.filter(dimension__kind="llm_call").count() for model in (Record, Rollup15s, Rollup5m, Rollup1h)
    ]
    assert kept == [2, 1, 3, 4]
    assert measures()["count"] == 4, "totals never go back"
    assert retention.drop_old(NOW) == []


def test_records_below_a_floor_go_to_the_grain_that_is_kept(sender: Sender, configure: Callable[..., Config]) -> None:
    old = NOW - timedelta(days=20)
    sender.post([call(at=old)])
    downsampling.downsample(timezone.now())
    configure(retention_records_days=36_500, retention_15s_days=3)
    retention.drop_old(NOW)
    notes = sender.post([call(at=old), call(at=NOW - timedelta(days=100))]).json()["notes"]
    assert [note.partition(" only")[0] for note in notes] == [
        "1 of 2 counted in steps of 5 minutes",
        "1 of 2 counted in steps of 60 minutes",
    ]
    downsampling.downsample(timezone.now())
    assert by_bucket("usage_rollup_15s") == {}
    assert by_bucket("usage_rollup_5m") == {old.replace(minute=5, second=0): 2}
    assert by_bucket("usage_rollup_1h") == {
        old.replace(minute=0, second=0): 2,
        (NOW - timedelta(days=100)).replace(minute=0, second=0): 1,
    }


def test_a_gauge_below_its_floor_leaves_no_sample(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(retention_records_days=36_500, retention_5m_days=10)
    retention.drop_old(NOW)
    gauge = {"kind": "gauge", "metric": "mcp_server_connections_active", "labels": {"server_id": "web"}, "value": 1}
    times = [NOW - timedelta(days=20), NOW]
    assert sender.post([{**gauge, "at": at.isoformat()} for at in times]).json()["accepted"] == 2
    assert sorted(Record.objects.values_list("at", flat=True)) == times
    assert [*GaugeSample.objects.values_list("at", flat=True)] == [NOW]


def test_an_event_is_known_over_generations_until_it_is_too_old_to_come(
    sender: Sender, configure: Callable[..., Config]
) -> None:
    batch = [call(), call(at=None)]
    sender.post(batch)
    generation = scalar("SELECT generation FROM usage_watermark")
    for week in range(1, 4):
        assert retention.rotate_events(NOW + timedelta(days=7 * week, seconds=1))
        assert not retention.rotate_events(NOW + timedelta(days=7 * week, seconds=2))
        assert sender.post(batch).json()["duplicates"] == 2
    configure(retention_records_days=30)
    assert retention.drop_generations() == []
    for week in range(4, 8):
        retention.rotate_events(NOW + timedelta(days=7 * week, seconds=1))
    assert f"usage_event_seen_{generation}" in retention.drop_generations()


def test_an_earlier_record_moves_the_start_of_its_counter(sender: Sender) -> None:
    sender.post([call()])
    sender.post([call(at=NOW - timedelta(hours=1))])
    assert Dimension.objects.get(kind="llm_call").first_at == NOW - timedelta(hours=1)
    forget()
    sender.post([call(at=NOW - timedelta(minutes=30))])
    assert Dimension.objects.get(kind="llm_call").first_at == NOW - timedelta(hours=1)


def test_storing_waits_for_a_advance_of_the_watermark(sender: Sender) -> None:
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    done = threading.Event()

    def send() -> None:
        pipeline.ingest(json.dumps([call()]).encode(), caller, NOW.timestamp())
        done.set()
        connection.close()

    with watermark.advance():
        thread = threading.Thread(target=send)
        thread.start()
        assert not done.wait(0.3)
    thread.join()
    assert done.is_set()
    assert uuid.UUID(str(Record.objects.get().event_id))
