"""5 roll up: chunks hold what their buckets' 15 s rows hold, however late records come."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone

import promql
from core.process_cache import forget_all
from portal.env import Config
from tests.records import NOW, Sender, call, forget
from usage.boards.queries import Rollups
from usage.catalog import KINDS
from usage.series.source import PostgresSource
from usage.store import chunks, downsampling, retention

pytestmark = pytest.mark.usefixtures("fixed_time")
START = NOW.replace(minute=0, second=0)
END = START + timedelta(minutes=40)
QUERIES = (
    '{__name__=~"(compozy|llm_provider|llm_tokens|mcp_tool).+",__name__!~".*latency.*"}',
    "sum by (le, model) (rate(llm_provider_request_seconds_bucket[5m]))",
    "increase(llm_provider_cost_usd_total[7m])",
    'increase(llm_provider_tokens_total{model="m1"}[1m])',
    'delta(mcp_tool_execute_seconds_bucket{le="0.1"}[3m])',
)


def answers() -> list[tuple[list[str], Any]]:
    """Each query's labels and values, every 30 s."""
    source = PostgresSource(now=END.timestamp())
    found = []
    for query in QUERIES:
        times = int(START.timestamp() * 1000) - 600_000, int(END.timestamp() * 1000), 30_000
        result = promql.range(query, source, *times)
        values = np.where(result.present, result.values, -1)
        found.append(([str(labels) for labels in result.labels], values.round(9).tolist()))
    return found


def calls(first: int = 0, count: int = 60) -> list[dict[str, Any]]:
    """Calls and tool calls over half an hour, some of them long, dear or without usage."""
    found = []
    for number in range(first, first + count):
        at = START + timedelta(seconds=number * 29 % 1800)
        fields = {"model": f"m{number % 4}", "duration_seconds": number % 13 / 3, "cost_usd": number / 7}
        found.append(call(at=at, prompt_tokens=number * 2000, **fields))
        found.append(
            {
                "kind": "tool_call",
                "at": at.isoformat(),
                "server_id": "web",
                "tool_name": f"t{number % 3}",
                "outcome": "success",
                "duration_seconds": number / 50,
            }
        )
    return found


def without_rows() -> list[tuple[list[str], Any]]:
    """The answers as they are where no 15 s row could be read."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_rollup_15s")
        found = answers()
        transaction.set_rollback(True)
    return found


def downsample() -> None:
    """Downsample all that changed, and write its chunks."""
    downsampling.downsample(timezone.now(), 10_000)


def test_chunks_answer_as_their_rows(sender: Sender) -> None:
    sender.post(calls())
    before = answers()
    assert without_rows() != before
    downsample()
    assert answers() == before
    assert without_rows() == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT itemsize FROM usage_chunk_15s WHERE kind <> '' ORDER BY 1")
        assert [size for (size,) in cursor.fetchall()] == [chunks.SHORT.itemsize, chunks.LONG.itemsize]


def test_a_chunk_may_be_written_again(sender: Sender) -> None:
    sender.post(calls())
    downsample()
    before = answers()
    with connection.cursor() as cursor:
        for minutes in range(0, 30, 5):
            chunks.write(cursor, START + timedelta(minutes=minutes))
    assert answers() == without_rows() == before


def test_a_record_that_comes_after_its_chunk_counts_at_once_and_in_the_next_chunk(sender: Sender) -> None:
    sender.post(calls())
    downsample()
    before = answers()
    sender.post(calls(100, 7))
    late = answers()
    assert late != before
    downsampling.claim(timezone.now())
    assert answers() == late
    sender.post(calls(200, 7))
    later = answers()
    assert later != late
    downsample()
    assert answers() == without_rows() == later


def test_a_record_that_comes_while_a_chunk_is_written_keeps_it_read_from_rows(sender: Sender) -> None:
    sender.post(calls())
    downsampling.claim(timezone.now())
    sender.post(calls(100, 7))
    before = answers()
    with connection.cursor() as cursor:  # what downsampling does after its claim
        cursor.execute("DELETE FROM usage_dirtybucket WHERE claimed RETURNING bucket")
        buckets = [bucket for (bucket,) in cursor.fetchall()]
        downsampling.ensure_chunk_partitions()
        for bucket in buckets:
            chunks.write(cursor, bucket)
    sender.post(calls(200, 7))
    after = answers()
    assert after != before
    downsample()
    assert answers() == without_rows() == after


def test_dimensions_of_later_ids_have_chunks_beside_the_others(sender: Sender) -> None:
    sender.post(calls(count=30))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE usage_dimension ALTER COLUMN id RESTART WITH 254")
    sender.post([*calls(30, 30), *[call(at=START, model=f"later {number}") for number in range(6)]])
    before = answers()
    downsample()
    assert answers() == without_rows() == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT block FROM usage_chunk_15s WHERE kind = 'llm_call' ORDER BY 1")
        assert [block for (block,) in cursor.fetchall()] == [0, 1]


def test_label_sets_past_the_bound_have_chunks(sender: Sender, configure: Callable[..., Config]) -> None:
    configure(dimensions_per_kind=2)
    sender.post(calls())
    before = answers()
    downsample()
    assert answers() == without_rows() == before
    assert any("__overflow__" in labels for names, _ in before for labels in names)


def test_chunks_go_with_the_rows_that_they_are_made_of(sender: Sender, configure: Callable[..., Config]) -> None:
    sender.post(calls())
    downsample()
    configure(retention_records_days=36_500, retention_15s_days=3)
    dropped = retention.drop_old(NOW + timedelta(days=10))
    assert f"usage_chunk_15s_{NOW:%Y%m%d}" in dropped
    old = answers()
    sender.post(calls(100, 7))
    downsample()
    assert answers() != old, "from the 5-minute rows, to which late records go"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_chunk_15s")
        assert cursor.fetchone()[0] == 0


def test_one_snapshot_has_one_answer_whatever_chunks_are_written_meanwhile(sender: Sender) -> None:
    sender.post(calls())

    def change() -> None:
        sender.post(calls(100, 7))
        downsample()
        connection.close()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = answers()
        thread = threading.Thread(target=change)
        thread.start()
        thread.join()
        assert answers() == before
    assert answers() == without_rows() != before


def test_a_process_follows_dimensions_that_were_taken_back(sender: Sender) -> None:
    sender.post([call(model="kept")])
    with transaction.atomic():
        sender.post([call(model="gone")])
        assert "'gone'" in str(answers())
        transaction.set_rollback(True)
    forget_all()
    assert "'gone'" not in str(answers())
    sender.post([call(model="made")])
    assert {name for name in ("kept", "gone", "made") if f"'{name}'" in str(answers())} == {"kept", "made"}


def test_every_offset_is_in_a_chunk_with_those_that_are_read_with_it() -> None:
    for kind in KINDS.values():
        first = chunks.first_offsets(kind).tolist()
        assert len(first) == kind.width
        for name, histogram in kind.observed.items():
            at = kind.offsets[name]
            assert first[at] == at
            assert first[at + 1 : at + histogram.width] == [at + 1] * (histogram.width - 1)


def test_hours_have_chunks_that_answer_as_their_rows(sender: Sender) -> None:
    sender.post(calls())
    now = NOW + timedelta(days=2)
    start, end = (int((NOW + timedelta(days=days)).timestamp() * 1000) for days in (-1, 1))

    def sums() -> list[Any]:
        forget()
        measures = ("count", "prompt_tokens", "duration")
        found = Rollups("llm_call", None, now).sums(measures, ("model", "outcome"), start, end, 3_600_000)
        return [found.groups, found.values.tolist()]

    def without_hours() -> list[Any]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM usage_rollup_1h")
            found = sums()
            transaction.set_rollback(True)
        return found

    downsample()
    first = sums()
    assert sum(map(sum, (hour for group in first[1] for hour in group))) > 0
    assert without_hours() == first
    sender.post(calls(100, 7))
    downsampling.claim(timezone.now())
    assert sums() == first  # late records reach the hours when they are downsampled
    assert without_hours() != first
    downsample()
    assert sums() != first
    assert without_hours() == sums()
