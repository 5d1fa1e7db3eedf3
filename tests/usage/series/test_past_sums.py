"""6: sums of what is over come from memory, and are what they would be without it, whatever comes late."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

import promql
from core.process_cache import forget_all
from tests.records import NOW, Sender, call
from usage.boards.queries import Rollups
from usage.series import source
from usage.series.source import PostgresSource
from usage.store import downsampling

pytestmark = pytest.mark.usefixtures("fixed_time", "summed_always")
END = NOW.replace(minute=0, second=0)
HOUR = 3_600_000
QUERIES = (
    ("sum by (model) (rate(compozy_llm_usage_events_total[15m]))", 24, 300_000),
    ("histogram_quantile(0.9, sum by (le) (rate(llm_provider_request_seconds_bucket[15m])))", 24, 300_000),
    ("sum by (le, model) (increase(llm_provider_request_seconds_bucket[3h]))", 30, 1_800_000),
    ("sum(increase(compozy_llm_usage_failures_total[5m]))", 3, 60_000),
)


@pytest.fixture
def summed_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few series as there are here would be read as a matrix."""
    monkeypatch.setattr(source, "DENSE_CELLS", 0)


def calls(since: datetime, hours: float, count: int, model: str = "m") -> list[dict[str, Any]]:
    """Calls over some hours, each third without its usage."""
    found = []
    for number in range(count):
        at = since + timedelta(hours=hours * number / count)
        record = call(at=at, model=f"{model}{number % 3}", duration_seconds=number % 7 / 2)
        if number % 3 == 0:
            del record["prompt_tokens"], record["completion_tokens"]
        found.append(record)
    return found


def answers(now: datetime) -> list[dict[str, list[float]]]:
    """Each query's values by labels, NaN where there is none."""
    found = []
    for query, hours, step in QUERIES:
        end = int(now.timestamp() * 1000) // step * step
        result = promql.range(query, PostgresSource(now=now.timestamp()), end - hours * HOUR, end, step)
        shown = np.where(result.present, result.values, np.nan)
        found.append(
            {str(sorted(row.items())): values.tolist() for row, values in zip(result.labels, shown, strict=True)}
        )
    return found


def check(now: datetime) -> list[dict[str, list[float]]]:
    """The answers, which are those of a process that remembers nothing."""
    ours = answers(now)
    forget_all()
    alike(ours, answers(now))
    return ours


def alike(ours: list[dict[str, list[float]]], others: list[dict[str, list[float]]]) -> None:
    """The same up to rounding."""
    for one, other in zip(ours, others, strict=True):
        assert one.keys() == other.keys()
        for labels, values in other.items():
            np.testing.assert_allclose(one[labels], values, rtol=1e-9, atol=1e-12, err_msg=labels)


def without_data(before: datetime) -> None:
    """Take what was counted, and leave the rows that say that there are chunks."""
    with connection.cursor() as cursor:
        for table in ("usage_rollup_15s", "usage_rollup_5m", "usage_rollup_1h"):
            cursor.execute(f"DELETE FROM {table} WHERE bucket < %s", [before])
            assert cursor.rowcount


def downsample() -> None:
    """Downsample all that changed."""
    downsampling.downsample(timezone.now(), 10_000)


def test_answers_stay_true_as_time_goes_on_and_records_come_late(sender: Sender) -> None:
    sender.post(calls(END - timedelta(hours=32), 31.9, 400))
    downsample()
    answers(END)
    for minutes in (1, 7, 30, 61):
        now = END + timedelta(minutes=minutes)
        answers(now)  # what follows meets what is known from here
        sender.post(calls(END - timedelta(hours=9), 0.5, 7))
        late = answers(now)
        sender.post(calls(END - timedelta(hours=2), 0.5, 5, "new"))
        assert answers(now) != late
        downsample()
        check(now)
        answers(now - timedelta(minutes=20))


def test_a_chart_that_is_drawn_again_reads_its_end(sender: Sender) -> None:
    sender.post(calls(END - timedelta(hours=32), 31.9, 400))
    downsample()
    before = answers(END)
    without_data(END - timedelta(hours=5))
    alike(answers(END), before)
    sender.post(calls(END - timedelta(hours=9), 0.2, 3))
    assert answers(END) != before


def test_sums_of_groups_are_read_again_where_a_record_came_late(sender: Sender) -> None:
    sender.post(calls(END - timedelta(hours=70), 69.9, 500))
    downsample()
    end, measures = int(END.timestamp() * 1000) + HOUR // 3, ("count", "prompt_tokens", "duration")

    def sums(hours: int, step: int) -> Any:
        found = Rollups("llm_call", None, END).sums(measures, ("model",), end - hours * HOUR, end, step)
        return {group: found.values[place].tolist() for place, group in enumerate(found.groups)}

    asked = [(69, 0), (69, 12 * HOUR), (20, HOUR), (9, 600_000), (1, 60_000)]
    before = [sums(*one) for one in asked]
    assert [sums(*one) for one in asked] == before
    forget_all()
    assert [sums(*one) for one in asked] == before
    without_data(END - timedelta(hours=5))
    assert sums(69, 0) == before[0]
    forget_all()
    assert sums(69, 0) != before[0]
    downsample()
    for hours in (60, 8, 1):
        sender.post(calls(END - timedelta(hours=hours), 0.1, 4, "new"))
        late = sums(9, 600_000), sums(1, 60_000)
        downsample()
        assert (sums(9, 600_000), sums(1, 60_000)) == late
        forget_all()
        assert (sums(9, 600_000), sums(1, 60_000)) == late
