"""The audit log: lines that nobody can change, with who, when, from where and by what, and without secrets."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.utils import timezone

from core.accounts.models import Workspace
from core.audit import partitions
from core.audit.models import AuditLine
from core.audit.origin import acting, address_of
from core.audit.record import MASK, masked, record, record_change
from tests.people import browser_of, make_people
from tests.records import rows

pytestmark = pytest.mark.django_db


def made(slug: str = "audited") -> Workspace:
    """Something to record."""
    return Workspace.objects.create(slug=slug, name="Audited")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_line SET actor = 'x'", "DELETE FROM audit_line", "TRUNCATE audit_line"]
)
def test_postgres_refuses_to_change_what_was_written(statement: str) -> None:
    record("created", made())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditLine.objects.count() == 1


def test_a_change_that_is_rolled_back_leaves_no_line() -> None:
    with transaction.atomic():
        record("created", made())
        transaction.set_rollback(True)
    assert not AuditLine.objects.exists()


def test_a_line_says_who_when_from_where_and_by_which_way() -> None:
    people, before = make_people(), timezone.now()
    owner = browser_of(people.owner)
    form = {"name": "checkout", "workspace": people.production.pk, "scopes": ["ingest"], "lifetime": ""}
    assert owner.post("/keys/new/", form, REMOTE_ADDR="203.0.113.7").status_code == 201
    line = AuditLine.objects.get()
    assert (line.actor, line.actor_id, line.via, line.address) == ("owner", people.owner.pk, "page", "203.0.113.7")
    assert (line.action, line.object_type, line.workspace) == ("created", "api key", "production")
    assert before <= line.at <= timezone.now()
    assert line.after is not None
    assert line.after["name"] == "checkout"
    assert "digest" not in json.dumps(line.after)


def test_what_no_request_asks_for_says_what_ran() -> None:
    with acting("task"):
        record("changed", made())
    record("changed", Workspace.objects.get())
    assert list(AuditLine.objects.order_by("id").values_list("via", "actor")) == [
        ("task", "portal"),
        ("command", "portal"),
    ]


def test_only_fields_that_differ_are_kept_and_nothing_where_none_does() -> None:
    one = made()
    record_change(one, {"name": "a", "slug": "s"}, {"name": "b", "slug": "s"})
    record_change(one, {"name": "a"}, {"name": "a"})
    line = AuditLine.objects.get()
    assert (line.before, line.after) == ({"name": "a"}, {"name": "b"})


def test_secrets_are_masked_at_any_depth_and_long_texts_are_cut() -> None:
    given = {"url": "https://x", "token": "t", "deep": [{"password": "p", "empty_secret": ""}], "text": "x" * 3000}
    found = masked(given)
    assert found["url"] == "https://x"
    assert found["token"] == MASK
    assert found["deep"] == [{"password": MASK, "empty_secret": ""}]
    assert found["text"].endswith("(3000 characters)")


def test_the_address_is_taken_from_the_proxy_only_where_it_is_trusted(configure: object) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.9"})
    assert address_of(request) == "10.0.0.1"
    configure(trusted_proxy=True)  # type: ignore[operator]
    assert address_of(request) == "203.0.113.9"


def test_months_are_made_ahead_and_dropped_when_their_time_is_over(configure: object) -> None:
    now = datetime(2031, 5, 20, tzinfo=UTC)
    partitions.keep(now)
    names = (
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent ="
        " 'audit_line'::regclass"
    )
    assert {("audit_line_203105",), ("audit_line_203106",)} <= set(rows(names))
    configure(retention_audit_days=30)  # type: ignore[operator]
    assert "audit_line_203105" not in partitions.keep(now + timedelta(days=35))
    assert "audit_line_203105" in partitions.keep(now + timedelta(days=42))


def test_superusers_see_all_operators_their_workspaces_and_viewers_nothing() -> None:
    people = make_people()
    for workspace in (people.production, people.elsewhere):
        record("changed", workspace, workspace=workspace.slug)
    record("changed", people.admin)
    shown = {
        person.username: browser_of(person).get("/audit/").content.decode()
        for person in (people.owner, people.outsider, people.admin)
    }
    assert [text.count('<td class="nowrap">') for text in shown.values()] == [1, 1, 3]
    assert "elsewhere" not in shown["owner"]
    assert "production" not in shown["outsider"]
    assert browser_of(people.teammate).get("/audit/").status_code == 403
    assert browser_of(people.teammate).get("/audit/export.csv").status_code == 403


def test_filters_and_pages_are_the_servers() -> None:
    people = make_people()
    for number in range(51):
        record("changed", people.production, after={"number": number}, by=people.owner)
    record("deleted", people.elsewhere, by=people.admin)
    admin = browser_of(people.admin)
    first, second = (admin.get("/audit/", {"actor": "owner", "page": n}).context["listed"] for n in (1, 2))
    assert [len(first.lines), first.has_next, len(second.lines), second.has_next] == [50, True, 1, False]
    assert len(admin.get("/audit/", {"text": "delet"}).context["listed"].lines) == 1
    assert admin.get("/audit/", {"since": "2099-01-01"}).context["listed"].lines == []
    assert admin.get("/audit/", {"via": "bogus", "since": "x", "page": "-1"}).status_code == 200


def test_exports_hold_the_matching_lines_and_no_formula() -> None:
    people = make_people()
    record("changed", people.production, after={"name": "b"}, before={"name": "a"}, by=people.owner)
    record("=cmd", people.elsewhere, by=people.admin)
    admin = browser_of(people.admin)
    text = b"".join(admin.get("/audit/export.csv").streaming_content).decode()  # type: ignore[attr-defined]
    read = list(csv.DictReader(io.StringIO(text)))
    assert [row["action"] for row in read] == ["'=cmd", "changed"]
    assert json.loads(read[1]["after"]) == {"name": "b"}
    lines = b"".join(admin.get("/audit/export.ndjson", {"actor": "owner"}).streaming_content).decode()  # type: ignore[attr-defined]
    assert [json.loads(line)["object_id"] for line in lines.splitlines()] == [str(people.production.pk)]
