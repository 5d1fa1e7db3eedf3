"""The pages of ingestion: receipts, dead letters, label sets, per workspace."""

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.accounts import keys
from core.accounts.models import ApiKey, Workspace
from core.audit.models import AuditLine
from portal.env import Config
from tests.people import People, browser_of, make_people
from usage.ingest import pipeline, spool
from usage.models import DeadLetter, Receipt


@pytest.fixture
def people(tables: None) -> People:
    return make_people()


def call(**fields: object) -> dict[str, object]:
    """A good record."""
    good = {"kind": "llm_call", "provider": "openai", "model": "gpt-5", "outcome": "success"}
    return {**good, "prompt_tokens": 10, "completion_tokens": 1, **fields}


def caller_of(workspace: Workspace, name: str = "app") -> keys.Caller:
    """A key of the workspace."""
    key, _ = keys.create_key(name, workspace)
    return keys.Caller(key.pk, workspace.pk, workspace.slug, frozenset({"ingest"}))


def send(caller: keys.Caller, *records: dict[str, object]) -> pipeline.BatchReceipt:
    """A request, as the API takes it."""
    return pipeline.ingest(json.dumps(list(records)).encode(), caller, timezone.now().timestamp())


def bury(caller: keys.Caller, *records: dict[str, object]) -> DeadLetter:
    """A batch among the dead letters."""
    now = timezone.now().timestamp()
    slug = Workspace.objects.get(pk=caller.workspace_id).slug
    header = spool.Header(uuid.uuid4(), caller.key_id, caller.workspace_id, slug, False, now, len(records), 99)
    body = "\n".join(json.dumps(record) for record in records).encode()
    spool.bury(msgspec.json.encode(header) + b"\n" + body, "DataError: it was too odd", now)
    return DeadLetter.objects.get(receipt=header.receipt)


def text_of(answer: Any) -> str:
    """The page with single spaces, as a browser shows it; a no-break space stays."""
    return re.sub(r"[ \n]+", " ", answer.content.decode())


def test_an_empty_portal_says_how_to_begin(people: People) -> None:
    page = text_of(browser_of(people.teammate).get("/ingestion/"))
    assert "Nothing was received in this time" in page
    assert "Make a key" in page


def test_members_see_their_workspaces_receipts_only(people: People) -> None:
    answer = send(caller_of(people.production, "checkout"), call(), call(prompt_tokens=-1))
    receipt = f"/ingestion/receipts/{answer.receipt}/"
    for person, there in (
        (people.owner, True),
        (people.teammate, True),
        (people.outsider, False),
        (people.admin, True),
    ):
        assert ("checkout" in text_of(browser_of(person).get("/ingestion/"))) is there, person
        assert browser_of(person).get(receipt).status_code == (200 if there else 404), person
        figure = json.loads(browser_of(person).get("/ingestion/figure?range=1h").content)
        assert [trace["name"] for trace in figure["data"]] == (["accepted", "refused"] if there else []), person
    assert Client().get("/ingestion/").status_code == Client().get(receipt).status_code == 302


def test_a_receipt_names_field_and_reason_of_what_was_refused(people: People) -> None:
    answer = send(caller_of(people.production), call(), call(prompt_tokens=-1))
    page = text_of(browser_of(people.owner).get(f"/ingestion/receipts/{answer.receipt}/"))
    assert "1 of 2 records refused" in page
    assert "<code>prompt_tokens</code>" in page


def test_a_stored_record_leads_to_its_trace_at_its_span(people: People) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = send(
        caller_of(people.production),
        call(trace_id=trace, span_id="00f067aa0ba902b7"),
        call(trace_id="no trace"),
        call(),
    )
    page = text_of(browser_of(people.owner).get(f"/ingestion/receipts/{answer.receipt}/"))
    assert f"/traces/{trace}/?workspace={people.production.slug}&amp;span=00f067aa0ba902b7" in page
    assert page.count('href="/traces/') == 2  # and the one of the sidebar


def test_filters_stand_in_the_url(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = caller_of(people.production, "good"), caller_of(people.production, "bad")
    send(good, call())
    send(bad, call(), call(kind="nope"))
    owner = browser_of(people.owner)

    def listed(query: str) -> list[str]:
        return [receipt.key.name for receipt in owner.get(f"/ingestion/?{query}").context["listed"].receipts]

    assert sorted(listed("")) == ["bad", "good"]
    assert listed("rejected=on") == ["bad"]
    assert listed(f"key={good.key_id}") == ["good"]
    assert (sorted(listed("state=stored")), listed("state=dead")) == (["bad", "good"], [])
    assert listed("page=2") == []
    assert sorted(listed("key=x&state=y&page=z")) == ["bad", "good"]

    def refuse(*_: object) -> None:
        raise ValueError("it was too odd")

    monkeypatch.setattr(pipeline, "store", refuse)
    send(caller_of(people.production, "odd"), call())
    assert (listed("state=spooled"), listed("state=dead")) == (["odd"], [])
    pipeline.drain()
    assert (listed("state=spooled"), listed("state=dead")) == ([], ["odd"])


def test_the_parts_that_refresh_are_parts(people: People) -> None:
    send(caller_of(people.production), call())
    owner = browser_of(people.owner)
    for part in ("state", "receipts"):
        assert "<html" not in text_of(owner.get(f"/ingestion/?part={part}"))


def test_queries_stay_flat_as_receipts_and_letters_grow(people: People) -> None:
    owner = browser_of(people.owner)

    def grow(count: int) -> None:
        for _ in range(count):
            caller = caller_of(people.production)
            send(caller, call())
            bury(caller, call())

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert owner.get("/ingestion/").status_code == 200
        return len(found)

    grow(2)
    few = queries()
    grow(6)
    assert queries() == few


def test_label_sets_past_their_bound_are_shown(people: People, configure: Callable[..., Config]) -> None:
    configure(dimensions_per_kind=2)
    send(caller_of(people.production), *(call(model=f"m{number}") for number in range(4)))
    answer = browser_of(people.owner).get("/ingestion/")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text_of(answer)))
    assert "overflow" in page
    assert "Most values: model, 2, such as m1 m0" in page
    assert re.search(r"In the last hour label sets came with the key \S+ \(4\)", page)


def test_what_makes_label_sets_many_is_not_told_to_strangers(people: People, configure: Callable[..., Config]) -> None:
    configure(dimensions_per_kind=2)
    send(caller_of(people.production), *(call(model=f"secret-{number}") for number in range(4)))
    assert "secret-" not in text_of(browser_of(people.outsider).get("/ingestion/"))


def test_a_dead_letter_shows_its_records_and_is_replayed_once(people: People) -> None:
    letter = bury(caller_of(people.production), call(model="buried"), call())
    page = f"/ingestion/dead-letters/{letter.pk}/"
    shown = text_of(browser_of(people.teammate).get(page))
    assert "DataError: it was too odd" in shown
    assert "buried" in shown
    assert "Replay" not in shown
    owner = browser_of(people.owner)
    assert "Stored: 2 records" in text_of(owner.post(f"{page}replay", follow=True))
    assert owner.post(f"{page}replay").status_code == 404
    assert AuditLine.objects.filter(action="replayed", actor="owner", workspace="production").count() == 1
    assert Receipt.objects.get(pk=letter.receipt).accepted == 2


def test_a_replay_that_fails_says_why_and_keeps_the_letter(people: People) -> None:
    letter = bury(caller_of(people.production), call())
    DeadLetter.objects.filter(pk=letter.pk).update(body=b"{}\nno header")
    owner = browser_of(people.owner)
    page = f"/ingestion/dead-letters/{letter.pk}/"
    assert "The batch cannot be read" in text_of(owner.get(page))
    assert "It still cannot be stored" in text_of(owner.post(f"{page}replay", follow=True))
    letter.refresh_from_db()
    assert (letter.attempts, letter.replayed_at) == (2, None)


def test_discarding_asks_first(people: People) -> None:
    letter = bury(caller_of(people.production), call(), call())
    owner, page = browser_of(people.owner), f"/ingestion/dead-letters/{letter.pk}/discard/"
    assert "<b>2 records</b> for good" in text_of(owner.get(page))
    assert DeadLetter.objects.exists()
    owner.post(page)
    assert not DeadLetter.objects.exists()


def test_only_operators_of_its_workspace_touch_a_dead_letter(people: People) -> None:
    letter = bury(caller_of(people.production), call())
    page = f"/ingestion/dead-letters/{letter.pk}/"
    for path in (f"{page}replay", f"{page}discard/"):
        assert browser_of(people.teammate).post(path).status_code == 403
        assert browser_of(people.outsider).post(path).status_code == 404
        assert Client().post(path).status_code == 302
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(people.owner)
        assert strict.post(path).status_code == 403
    assert browser_of(people.owner).get(f"{page}replay").status_code == 405
    assert browser_of(people.outsider).get(page).status_code == 404


def test_a_letter_of_no_workspace_belongs_to_superusers(people: People) -> None:
    letter = bury(caller_of(people.production), call())
    DeadLetter.objects.filter(pk=letter.pk).update(workspace=None)
    page = f"/ingestion/dead-letters/{letter.pk}/"
    assert browser_of(people.owner).get(page).status_code == 404
    assert browser_of(people.admin).get(page).status_code == 200


def test_what_waits_in_the_spool_is_shown_with_its_age(people: People) -> None:
    caller = caller_of(people.production)
    header = spool.Header(uuid.uuid4(), caller.key_id, caller.workspace_id, "production", False, 0.0, 3, 10)
    spool.put(header, b"{}")
    page = text_of(browser_of(people.owner).get("/ingestion/?part=state"))
    assert "Records wait for Postgres" in page
    assert "<b>3</b> records in 1 file" in page


def test_the_key_list_counts_a_day_of_receipts(people: People) -> None:
    caller = caller_of(people.production, "counted")
    send(caller, call(), call(kind="nope"))
    use = browser_of(people.owner).get("/keys/").context["uses"][0]
    assert (use.key.name, use.requests, use.records, use.rejected, use.state) == ("counted", 1, 1, 1, "valid")
    assert ApiKey.objects.get().created_at > timezone.now() - dt.timedelta(minutes=1)
