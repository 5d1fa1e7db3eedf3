"""4: while Postgres is away nothing that was accepted is lost, and the portal's own metrics say what happened."""

import json
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.accounts import keys
from core.process_cache import forget_all
from portal.env import Config
from tests.postgres import postgres_away
from tests.records import NOW, Sender, call, measures, rows, scalar
from tests.servers import wait_until
from usage.ingest import pipeline, spool, spool_gauge
from usage.models import DeadLetter, Receipt, Record
from usage.store import watermark, writer

pytestmark = pytest.mark.usefixtures("fixed_time")


def persisted(label: str) -> dict[str, float]:
    """The portal's own counts by outcome or error type."""
    return dict(
        rows(
            "SELECT d.labels->>%s, t.measures[1] FROM usage_total t JOIN usage_dimension d ON d.id = t.dimension_id"
            " WHERE d.kind = 'persist' AND d.labels ? %s",
            label,
            label,
        )
    )


def test_records_are_accepted_and_stored_later_once_in_order(sender: Sender) -> None:
    sender.post([])  # the key becomes known
    batches = [[call(model=f"m{number}"), call(event_id=None, at=None)] for number in range(3)]
    with postgres_away():
        answers = [sender.post(batch) for batch in batches]
        again = sender.post(batches[0])
        assert spool.waiting() == 8
    assert [answer.status_code for answer in [*answers, again]] == [200] * 4
    assert answers[0].json()["spooled"] is True
    assert answers[0].json()["accepted"] == 2
    assert Record.objects.count() == 0
    assert pipeline.drain() == 4
    # The record without an id is another one each time it is sent; the one with an id is stored once.
    assert Record.objects.count() == 7
    assert spool.waiting() == 0
    models = [
        model
        for (model,) in rows(
            "SELECT d.labels->>'model' FROM usage_record r JOIN usage_dimension d ON d.id = r.dimension_id ORDER BY"
            " r.id"
        )
    ]
    assert [model for model in models if model != "gpt-4o"] == ["m0", "m1", "m2"]
    receipts = [answer.json()["receipt"] for answer in answers]
    assert {str(receipt.id) for receipt in Receipt.objects.all()} >= set(receipts)
    assert persisted("error_type") == {"db_error": 4}
    assert persisted("outcome") == {"success": 4, "error": 4}


def test_batches_that_wait_at_one_time_become_durable_together(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    sender.post([])
    begun, released = threading.Event(), threading.Event()
    honest = spool.write_synced

    def write_synced(path: Path, data: bytes) -> None:
        begun.set()
        released.wait(30)
        honest(path, data)

    monkeypatch.setattr(spool, "write_synced", write_synced)
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    bodies = [json.dumps([call(model=f"m{number}")]).encode() for number in range(6)]
    answers: list[pipeline.BatchReceipt] = []

    def send(body: bytes) -> None:
        answers.append(pipeline.ingest(body, caller, NOW.timestamp()))

    threads = [threading.Thread(target=send, args=[body]) for body in bodies]
    with postgres_away():
        threads[0].start()
        assert begun.wait(30)
        for thread in threads[1:]:
            thread.start()
        wait_until(lambda: len(spool.together._queue) == 5)
        assert answers == []
        released.set()
        for thread in threads:
            thread.join(30)
    assert [answer.spooled for answer in answers] == [True] * 6
    assert sorted(len(spool.batches(path)) for path in spool.files()) == [1, 5]
    assert spool.waiting() == 6
    assert pipeline.drain() == 6
    assert {receipt.id for receipt in Receipt.objects.filter(state="stored")} >= {one.receipt for one in answers}
    assert (Record.objects.count(), spool.waiting()) == (6, 0)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a fault of ours")])
def test_nothing_is_accepted_that_was_not_written(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def write_synced(path: Path, data: bytes) -> None:
        raise error

    sender.post([])
    monkeypatch.setattr(spool, "write_synced", write_synced)
    client = Client(raise_request_exception=False)
    with postgres_away():
        answer = Sender(sender.key, sender.plaintext, client).post([call()])
    assert answer.status_code in (500, 503)
    assert spool.files() == []


def test_of_a_file_of_several_batches_the_good_ones_are_stored(sender: Sender) -> None:
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    entries = []
    for number in range(3):
        body = json.dumps([call()]).encode()
        at = NOW.timestamp()
        header = spool.Header(uuid.uuid4(), caller.key_id, caller.workspace_id, "production", True, at, 1, len(body))
        entries.append(spool.encode(header, body) if number != 1 else b"not json\n[]")
    lengths = json.dumps([len(data) for data in entries]).encode()
    spool.write_synced(spool.folder() / f"1-3-x{spool.SUFFIX}", lengths + b"\n" + b"".join(entries))
    assert pipeline.drain() == 3
    assert (Record.objects.count(), DeadLetter.objects.count()) == (2, 1)


def test_a_drain_that_dies_after_the_commit_doubles_nothing(sender: Sender, spool_folder: Path) -> None:
    sender.post([])
    with postgres_away():
        sender.post([call(), call(event_id=None)])
    (path,) = spool.files()
    data = path.read_bytes()
    pipeline.drain()
    path.write_bytes(data)  # as if it had died before removing the file
    assert pipeline.drain() == 1
    assert (Record.objects.count(), measures()["count"], persisted("error_type")) == (2, 2, {"db_error": 1})


def test_a_lock_that_is_not_had_in_time_counts_as_a_timeout(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    sender.post([call()])
    caller = keys.authenticate(f"Bearer {sender.plaintext}", timezone.now()).caller
    monkeypatch.setattr(writer, "LOCK_WAIT", "10ms")
    answers: list[pipeline.BatchReceipt] = []

    def send() -> None:
        answers.append(pipeline.ingest(json.dumps([call()]).encode(), caller, NOW.timestamp()))
        connection.close()

    with watermark.advance():
        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
    assert answers[0].spooled
    assert pipeline.drain() == 1
    assert (Record.objects.count(), persisted("error_type")) == (2, {"timeout": 1})


def test_two_drains_at_once_do_not_step_on_each_other(sender: Sender) -> None:
    with spool.only_one() as mine:
        found: list[bool] = []

        def other() -> None:
            with spool.only_one() as also_mine:
                found.append(also_mine)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert mine
    assert found == [False]


def test_drain_stops_while_postgres_is_still_away(sender: Sender) -> None:
    sender.post([])
    with postgres_away():
        sender.post([call()])
        assert pipeline.drain() == 0
    assert spool.waiting() == 1
    assert pipeline.drain() == 1


def test_a_full_spool_answers_503_and_when_to_come_again(sender: Sender, configure: Callable[..., Config]) -> None:
    sender.post([])
    configure(spool_max_bytes=10)
    with postgres_away():
        answer = sender.post([call()])
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert spool.waiting() == 0
    assert sender.post([call()]).json()["accepted"] == 1


def test_a_spool_that_cannot_be_written_answers_503(
    sender: Sender, configure: Callable[..., Config], tmp_path: Path
) -> None:
    sender.post([])
    (tmp_path / "file").write_text("")
    with postgres_away():
        configure(spool_dir=tmp_path / "file" / "spool")
        assert sender.post([call()]).status_code == 503


def test_an_unknown_key_waits_while_postgres_is_away(sender: Sender) -> None:
    with postgres_away():
        answer = sender.post([call()])
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    sender.post([])
    forget_all()  # another process of this machine
    with postgres_away():
        assert sender.post([call()]).status_code == 200
    assert "llmu_" not in (spool.folder() / "keyring.json").read_text()


def test_a_revoked_key_is_not_let_in_by_the_keyring(sender: Sender) -> None:
    sender.post([])
    keys.revoke_key(sender.key, timezone.now())
    sender.post([])
    with postgres_away():
        assert sender.post([call()]).status_code == 503


def test_a_poison_batch_goes_to_the_dead_letters_and_the_next_ones_go_on(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.post([])
    with postgres_away():
        for model in ("poison", "good"):
            sender.post([call(model=model)])
    honest = pipeline.store

    def store(batch: Any, columns: Any, rejected: Any) -> Any:
        if any("poison" in key for key in columns.keys):
            raise ValueError("cannot be stored")
        return honest(batch, columns, rejected)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "store", store)
        assert pipeline.drain() == 2
        letter = DeadLetter.objects.get()
        assert (letter.records, letter.error.split(" (at")[0]) == (1, "ValueError: cannot be stored")
        assert json.loads(pipeline.contents(letter)[0])["model"] == "poison"
        with pytest.raises(ValueError, match="cannot be stored"):
            pipeline.replay(letter, NOW)
    assert Record.objects.count() == 1
    letter.refresh_from_db()
    assert letter.attempts == 2
    assert pipeline.replay(letter, NOW).accepted == 1
    letter.refresh_from_db()
    assert letter.replayed_at == NOW
    assert pipeline.replay(letter, NOW).duplicates == 1


def test_a_spooled_file_that_is_not_readable_is_buried_too(sender: Sender, workspace: Any) -> None:
    spool.write_synced(spool.folder() / f"1-3-x{spool.SUFFIX}", b"not json\n[]")
    assert pipeline.drain() == 1
    assert DeadLetter.objects.get().workspace is None


def test_a_batch_that_waited_until_its_partitions_were_dropped_is_stored_in_the_coarser_grain(sender: Sender) -> None:
    sender.post([call(), call(at=NOW - timedelta(days=1))])  # this process has seen the partitions of both days
    with postgres_away():
        receipt = sender.post([call(), call(at=NOW - timedelta(days=1))]).json()["receipt"]
    with watermark.advance() as cursor:  # another process's retention
        cursor.execute("UPDATE usage_watermark SET floor_15s = %s, floor_5m = %s", [NOW + timedelta(days=1), NOW])
        for table in ("usage_record", "usage_rollup_15s", "usage_rollup_5m", "usage_span_seen"):
            for day in (NOW, NOW - timedelta(days=1)):
                cursor.execute(f"DROP TABLE {table}_{day:%Y%m%d}")
    assert pipeline.drain() == 1
    assert DeadLetter.objects.count() == 0
    assert measures("usage_rollup_5m")["count"] == 1
    assert measures("usage_rollup_1h")["count"] == 1
    found = sender.client.get(f"/api/v1/receipts/{receipt}", HTTP_AUTHORIZATION=f"Bearer {sender.plaintext}").json()
    assert (found["state"], found["accepted"], found["reasons"]) == ("stored", 2, [])
    assert found["notes"] == [
        "1 of 2 counted in steps of 5 minutes only: finer rollups of their time are gone",
        "1 of 2 counted in steps of 60 minutes only: finer rollups of their time are gone",
    ]


def test_the_queue_is_a_gauge(sender: Sender) -> None:
    sender.post([])
    with postgres_away():
        sender.post([call(), call()])
    assert spool_gauge.report(timezone.now()) == 2
    assert (
        scalar(
            "SELECT value FROM usage_gauge_sample g JOIN usage_dimension d ON d.id = g.dimension_id WHERE"
            " d.labels->>'metric' = 'llm_usage_persist_queue_size'"
        )
        == 2
    )
