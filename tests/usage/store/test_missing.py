"""What was accepted and is not stored counts as missing usage, until it is stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import timezone

from portal.env import Config
from tests.postgres import postgres_away
from tests.records import NOW, Sender, call, rows, scalar
from usage.ingest import dead_letters, pipeline, spool
from usage.models import DeadLetter, MissingUsage
from usage.series.exposition import exposition
from usage.store import missing

pytestmark = pytest.mark.usefixtures("fixed_time")


@contextmanager
def nothing_can_be_stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Storing fails for a reason that waiting does not mend."""

    def store(*_: object) -> None:
        raise ValueError("cannot be stored")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "store", store)
        yield


def events(table: str = "usage_rollup_15s") -> dict[str, float]:
    """Usage events by outcome, where there are any."""
    found = rows(
        f"SELECT d.labels->>'usage', sum(t.measures[1]) FROM {table} t JOIN usage_dimension d ON d.id = t.dimension_id"
        " WHERE d.kind = 'llm_call' AND d.labels ? 'usage' GROUP BY 1 HAVING sum(t.measures[1]) <> 0"
    )
    return dict(found)


def persist_errors() -> float:
    return float(
        scalar(
            "SELECT coalesce(sum(t.measures[1]), 0) FROM usage_total t JOIN usage_dimension d ON d.id = t.dimension_id"
            " WHERE d.kind = 'persist' AND d.labels->>'error_type' = 'db_error'"
        )
    )


def test_a_dead_letter_is_missing_until_it_is_replayed(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_can_be_stored(monkeypatch):
        sender.post(
            [
                call(),
                call(prompt_tokens=None, completion_tokens=None),
                call(outcome="error", prompt_tokens=None, completion_tokens=None),
                {"kind": "tool_call"},
            ]
        )
        pipeline.drain()
    # The call that the provider refused and the tool's call are no usage events.
    assert (events(), persist_errors()) == ({"failure": 2}, 1)
    assert (
        scalar(
            "SELECT bucket FROM usage_rollup_15s r JOIN usage_dimension d ON d.id = r.dimension_id WHERE d.kind ="
            " 'llm_call'"
        )
        == NOW
    )
    letter = DeadLetter.objects.get()
    pipeline.replay(letter, timezone.now())
    assert events() == {"success": 1, "failure": 1}
    assert MissingUsage.objects.count() == 0
    assert scalar("SELECT count(*) FROM usage_dirtybucket") > 0


def test_exported_counters_do_not_go_back_when_it_is_taken_back(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nothing_can_be_stored(monkeypatch):
        sender.post([call()])
        pipeline.drain()
    line = 'compozy_llm_usage_failures_total{component="agent",provider="openai",model="gpt-4o"} 1.0'
    assert line in exposition(openmetrics=False)
    pipeline.replay(DeadLetter.objects.get(), timezone.now())
    assert line in exposition(openmetrics=False)


def test_a_dead_letter_that_is_discarded_stays_missing(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_can_be_stored(monkeypatch):
        sender.post([call()])
        pipeline.drain()
    dead_letters.discard(DeadLetter.objects.get())
    assert (events(), MissingUsage.objects.count()) == ({"failure": 1}, 0)


def test_what_waits_too_long_is_missing_once_and_not_when_it_is_stored(
    sender: Sender, configure: Callable[..., Config]
) -> None:
    configure(spool_overdue=300)
    sender.post([])
    with postgres_away():
        sender.post([call(), call()])
    now = timezone.now().timestamp()
    pipeline.count_overdue(now + 299)
    assert events() == {}
    pipeline.count_overdue(now + 301)
    pipeline.count_overdue(now + 400)
    assert events() == {"failure": 2}
    assert pipeline.drain() == 1
    assert events() == {"success": 2}


def test_while_postgres_is_away_nothing_is_counted_and_nothing_breaks(sender: Sender) -> None:
    sender.post([])
    with postgres_away():
        sender.post([call()])
        pipeline.count_overdue(timezone.now().timestamp() + 10_000)
    assert spool.waiting() == 1


def test_below_the_floor_of_15_s_it_counts_in_the_coarser_grain(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows("UPDATE usage_watermark SET floor_15s = %s RETURNING 1", NOW.replace(hour=23))
    with nothing_can_be_stored(monkeypatch):
        sender.post([call()])
        pipeline.drain()
    assert (events(), events("usage_rollup_5m")) == ({}, {"failure": 1})
    pipeline.replay(DeadLetter.objects.get(), timezone.now())
    assert events("usage_rollup_5m") == {"success": 1}


@pytest.mark.usefixtures("tables")
def test_every_series_about_storing_begins_at_0() -> None:
    for _ in range(2):
        missing.start_persist_series(NOW)
    text = exposition(openmetrics=False)
    for error in ("db_error", "timeout", "validation"):
        assert f'llm_usage_persist_errors_total{{error_type="{error}"}} 0.0\n' in text
    for outcome in ("success", "error"):
        assert f'llm_usage_persist_seconds_count{{outcome="{outcome}"}} 0.0\n' in text


def test_a_spooled_body_that_cannot_be_read_counts_nothing(sender: Sender) -> None:
    data: Any = b"not json\n[]"
    pipeline.count_missing(data, lost=True)
    assert events() == {}
