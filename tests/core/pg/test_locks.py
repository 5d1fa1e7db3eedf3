"""Advisory locks: one holder, released with the transaction or the session, whatever happens in between."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from core.pg.locks import AdvisoryLock

LOCK = AdvisoryLock(99_000_001)
pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(ask: Callable[[], bool]) -> bool:
    """What another session is answered."""
    answers: list[bool] = []

    def run() -> None:
        answers.append(ask())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


def free(part: int | str | None = None) -> bool:
    """Whether another session could have the lock."""

    def ask() -> bool:
        with transaction.atomic(), connection.cursor() as cursor:
            return LOCK.try_take(cursor, part)

    return elsewhere(ask)


@pytest.mark.parametrize("part", [None, 7, "llm_call"])
def test_a_transaction_holds_it_to_its_end(part: int | str | None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        LOCK.take(cursor, part)
        assert not free(part)
        assert free("another part")
    assert free(part)


def test_several_hold_it_shared_and_nobody_else_then() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        LOCK.take(cursor, shared=True)

        def ask() -> bool:
            with transaction.atomic(), connection.cursor() as cursor:
                LOCK.take(cursor, shared=True)
                return True

        assert elsewhere(ask)
        assert not free()


def test_a_session_holds_it_across_transactions_and_lets_go_of_it_where_its_work_fails() -> None:
    def failing_work() -> None:
        with LOCK.session(3):
            with transaction.atomic():
                pass
            assert not free(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_work()
    assert free(3)


def test_who_finds_it_taken_learns_so_at_once_and_releases_nothing() -> None:
    with LOCK.try_session(3) as first:

        def ask() -> bool:
            with LOCK.try_session(3) as second:
                return second

        assert first
        assert not elsewhere(ask)
        assert not free(3)
    assert free(3)


def test_a_connection_that_broke_has_nothing_to_release() -> None:
    with LOCK.try_session(3) as held:
        assert held
        connection.close()
    assert free(3)


def test_no_two_locks_have_one_number() -> None:
    with pytest.raises(ValueError, match="99000001"):
        AdvisoryLock(99_000_001)
