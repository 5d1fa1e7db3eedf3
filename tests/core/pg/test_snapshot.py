"""Several reads of one state of the tables."""

import threading

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from core.accounts.models import Workspace
from core.pg.snapshot import snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def create_elsewhere(slug: str) -> None:
    """Commit a workspace from another session."""

    def run() -> None:
        Workspace.objects.create(slug=slug, name=slug)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_what_is_committed_meanwhile_is_seen_afterwards_only() -> None:
    with snapshot():
        before = Workspace.objects.count()
        create_elsewhere("a")
        assert Workspace.objects.count() == before
    assert Workspace.objects.count() == before + 1


def test_nothing_is_written_in_it_and_afterwards_all_is_as_usual() -> None:
    with pytest.raises(DatabaseError, match="read-only"), snapshot():
        Workspace.objects.create(slug="b", name="b")
    with transaction.atomic():
        Workspace.objects.create(slug="b", name="b")
        before = Workspace.objects.count()
        create_elsewhere("c")
        assert Workspace.objects.count() == before + 1


def test_within_a_transaction_it_is_a_part_of_that() -> None:
    with transaction.atomic():
        Workspace.objects.create(slug="d", name="d")
        with snapshot():
            assert Workspace.objects.filter(slug="d").exists()


def test_a_statement_that_takes_longer_is_cancelled_in_it_only() -> None:
    with pytest.raises(OperationalError, match="statement timeout"), snapshot(1), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
