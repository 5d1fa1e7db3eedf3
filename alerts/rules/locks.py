"""One order of locks for all that writes rules and alerts: a group's row, its rules' by id, then alerts.

Evaluating and saving both take them in this order, so that neither can wait for what the other holds while holding what
that one waits for.
"""

from __future__ import annotations

from django.db import OperationalError, connection

from alerts.models import Rule, RuleGroup
from core.net.retries import retry

CONFLICTS = ("40001", "40P01")  # serialization failure, deadlock
MAX_TRIES = 5


def lock_group(group_id: int) -> list[tuple[int, int]]:
    """Lock a group and its rules for writing; ids and versions of the rules, by id.

    FOR NO KEY UPDATE, so that rows which refer to them can be written meanwhile.
    """
    list(RuleGroup.objects.select_for_update(no_key=True).filter(pk=group_id).values_list("pk"))
    rules = Rule.objects.select_for_update(no_key=True).filter(group_id=group_id).order_by("pk")
    return list(rules.values_list("pk", "version"))


def is_conflict(error: Exception) -> bool:
    """Whether Postgres ended a transaction in favour of another: the whole of it may be tried again."""
    return getattr(error.__cause__, "sqlstate", "") in CONFLICTS


def _may_try_again(error: Exception) -> bool:
    return isinstance(error, OperationalError) and not connection.in_atomic_block and is_conflict(error)


# For a write in a transaction of its own: it is tried again where Postgres ended it in favour of another.
with_retries = retry(
    on=_may_try_again, attempts=MAX_TRIES, timeout=None, wait_initial=0.01, wait_max=0.1, wait_jitter=0.02
)
