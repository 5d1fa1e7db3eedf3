"""A batch's receipt says at every moment where the batch is: stored, spooled, or a dead letter."""

from typing import Any

import pytest
from django.db import OperationalError

from tests.people import browser_of, make_people
from tests.postgres import postgres_away
from tests.records import NOW, Sender, call
from usage.ingest import pipeline, spool
from usage.models import DeadLetter, Receipt

pytestmark = pytest.mark.usefixtures("fixed_time")


def states() -> list[tuple[str, int, int]]:
    """State, accepted and refused records of every receipt."""
    return list(Receipt.objects.order_by("received_at").values_list("state", "accepted", "rejected"))


def refuse(*_: Any) -> Any:
    raise ValueError("cannot be stored")


def away(*_: Any) -> Any:
    raise OperationalError("the server closed the connection")


def test_what_was_spooled_while_postgres_was_away_is_spooled_until_it_is_stored(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.post([])  # the key becomes known
    Receipt.objects.all().delete()
    with postgres_away():
        receipt = sender.post([call(), call(), call(prompt_tokens=-1)]).json()["receipt"]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "store", away)
        assert pipeline.drain() == 0
    assert states() == [("spooled", 2, 1)]
    answer = sender.client.get(f"/api/v1/receipts/{receipt}", HTTP_AUTHORIZATION=f"Bearer {sender.plaintext}").json()
    assert (answer["state"], answer["stored_at"]) == ("spooled", None)
    assert pipeline.drain() == 1
    assert states() == [("stored", 2, 1)]
    stored = Receipt.objects.get()
    assert (str(stored.id), stored.stored_at is not None, len(stored.reasons)) == (receipt, True, 1)


def test_a_batch_that_cannot_be_stored_is_spooled_then_dead_then_stored_by_a_replay(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "store", refuse)
        assert sender.post([call()]).json()["spooled"] is True
        assert states() == [("spooled", 1, 0)]
        assert pipeline.drain() == 1
        assert states() == [("dead", 1, 0)]
        with pytest.raises(ValueError, match="cannot be stored"):
            pipeline.replay(DeadLetter.objects.get(), NOW)
        assert states() == [("dead", 1, 0)]
    pipeline.replay(DeadLetter.objects.get(), NOW)
    assert states() == [("stored", 1, 0)]


def test_a_stored_batch_that_is_drained_again_keeps_its_receipt(sender: Sender) -> None:
    sender.post([])
    Receipt.objects.all().delete()
    with postgres_away():
        sender.post([call()])
    (path,) = spool.files()
    data = path.read_bytes()
    pipeline.drain()
    first = Receipt.objects.get()
    spool.write_synced(path, data)  # a drain that died before it removed the file
    pipeline.drain()
    assert Receipt.objects.get().stored_at == first.stored_at
    assert states() == [("stored", 1, 0)]


def test_each_state_is_a_filter_of_the_receipts_page(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = browser_of(make_people().owner)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "store", refuse)
        dead = sender.post([call()]).json()["receipt"]
        pipeline.drain()
        spooled = sender.post([call()]).json()["receipt"]
    stored = sender.post([call()]).json()["receipt"]
    at = int(Receipt.objects.earliest("received_at").received_at.timestamp() * 1000)
    time_range = f"from={at - 60_000}&to={at + 600_000}"
    for state, receipt in (("dead", dead), ("spooled", spooled), ("stored", stored)):
        listed = owner.get(f"/ingestion/?{time_range}&state={state}").context["listed"].receipts
        assert [str(one.id) for one in listed] == [receipt], state
        page = owner.get(f"/ingestion/receipts/{receipt}/").content.decode()
        assert ("after receipt" in page) is (state == "stored")
