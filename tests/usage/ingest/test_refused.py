"""1: a request that is answered 503 is missing usage, until it comes again and is stored."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from portal.env import Config
from tests.postgres import postgres_away
from tests.records import Sender, call, rows, scalar
from usage.ingest import pipeline, refused, spool
from usage.models import MissingUsage, Record
from usage.series.exposition import exposition

pytestmark = pytest.mark.usefixtures("fixed_time")
FAILURES = 'compozy_llm_usage_failures_total{component="agent",provider="openai",model="gpt-4o"}'


@pytest.fixture
def full(sender: Sender, configure: Callable[..., Config]) -> Callable[[Any], int]:
    """Sends a body while Postgres is away and the spool is full; the status of its answer."""

    def send(body: Any) -> int:
        configure(spool_max_bytes=10)
        with postgres_away():
            status = int(sender.post(body).status_code)
        configure(spool_max_bytes=2**30)
        return status

    sender.post([])
    return send


def coverage() -> dict[str, float]:
    """Usage events by outcome, where there are any."""
    return dict(
        rows(
            "SELECT d.labels->>'usage', sum(r.measures[1]) FROM usage_rollup_15s r"
            " JOIN usage_dimension d ON d.id = r.dimension_id"
            " WHERE d.kind = 'llm_call' AND d.labels ? 'usage' GROUP BY 1 HAVING sum(r.measures[1]) <> 0"
        )
    )


def persist_errors() -> float:
    return float(
        scalar(
            "SELECT coalesce(sum(t.measures[1]), 0) FROM usage_total t JOIN usage_dimension d ON d.id = t.dimension_id"
            " WHERE d.kind = 'persist' AND d.labels->>'error_type' = 'db_error'"
        )
    )


def test_it_is_missing_once_however_often_it_was_refused(full: Callable[[Any], int]) -> None:
    body = [call(), call(event_id=None), {"kind": "tool_call"}]
    assert [full(body), full(body), full([call()])] == [503, 503, 503]
    for _ in range(2):
        pipeline.drain()
    assert (coverage(), persist_errors()) == ({"failure": 3}, 2)
    assert f"{FAILURES} 3.0" in exposition(openmetrics=False)
    assert full(body) == 503
    pipeline.drain()
    assert coverage() == {"failure": 3}


@pytest.mark.parametrize("is_counted", [True, False])
def test_it_is_not_missing_once_it_was_stored(sender: Sender, full: Callable[[Any], int], is_counted: bool) -> None:
    body = [call(), call(event_id=None, at=None)]
    full(body)
    if is_counted:
        pipeline.drain()
        assert coverage() == {"failure": 2}
    assert sender.post(body).json()["accepted"] == 2
    pipeline.drain()
    assert (coverage(), MissingUsage.objects.count(), os.listdir(refused.folder())) == ({"success": 2}, 0, [])


def test_what_comes_again_and_is_spooled_counts_once_it_is_stored(sender: Sender, full: Callable[[Any], int]) -> None:
    body = [call()]
    full(body)
    pipeline.drain()
    with postgres_away():
        assert sender.post(body).json()["spooled"] is True
    assert coverage() == {"failure": 1}
    assert pipeline.drain() == 1
    assert coverage() == {"success": 1}


def test_equal_bodies_without_ids_stay_two_requests(sender: Sender, full: Callable[[Any], int]) -> None:
    body = [call(event_id=None)]
    full(body)
    assert [sender.post(body).json()["accepted"] for _ in range(2)] == [1, 1]
    assert Record.objects.count() == 2


def test_who_does_not_come_again_within_a_day_stays_missing(full: Callable[[Any], int]) -> None:
    full([call()])
    pipeline.drain()
    refused.count(timezone.now().timestamp() + refused.KEPT_SECONDS + 10)
    assert (coverage(), os.listdir(refused.folder())) == ({"failure": 1}, [])


def test_a_bounded_number_is_remembered(full: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "MAX_KEPT", 2)
    monkeypatch.setattr(refused, "kept", refused.Kept())
    assert [full([call()]) for _ in range(3)] == [503] * 3
    assert len(os.listdir(refused.folder())) == 2


def test_one_that_was_stored_while_it_was_counted_is_not_missing(
    full: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    full([call()])
    [path] = refused.folder().iterdir()
    honest = refused.missing.count

    def count(*given: Any, **named: Any) -> bool:
        path.unlink()  # another process takes it now
        return honest(*given, **named)

    monkeypatch.setattr(refused.missing, "count", count)
    pipeline.drain()
    assert (coverage(), MissingUsage.objects.count()) == ({}, 0)


def test_a_file_that_cannot_be_read_stops_nothing(full: Callable[[Any], int]) -> None:
    full([call()])
    (refused.folder() / "broken").write_bytes(b"\xff")
    pipeline.drain()
    assert coverage() == {"failure": 1}
    assert spool.waiting() == 0
