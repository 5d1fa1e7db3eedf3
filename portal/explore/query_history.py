"""What each person asked: the last hundred, the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from portal.models import ExploredQuery

KEPT = 100


@transaction.atomic
def record(user: User, texts: Sequence[str], now: datetime) -> None:
    """Put these queries on top; asked again they move there. What is beyond the last hundred is forgotten."""
    asked = [text for text in texts if text]
    if not asked:
        return
    ExploredQuery.objects.update_or_create(user=user, queries=asked, defaults={"at": now})
    kept = ExploredQuery.objects.filter(user=user).order_by("-at", "-pk").values_list("pk", flat=True)[:KEPT]
    ExploredQuery.objects.filter(user=user).exclude(pk__in=list(kept)).delete()


def find(user: User, text: str) -> list[ExploredQuery]:
    """The person's own entries that contain every word."""
    found = list(ExploredQuery.objects.filter(user=user).order_by("-at", "-pk")[:KEPT])
    wanted = text.lower().split()
    return [one for one in found if all(word in "\n".join(one.queries).lower() for word in wanted)]


def forget(user: User, pk: int | None = None) -> int:
    """Delete one of the person's own entries, or all of them; how many there were."""
    found = ExploredQuery.objects.filter(user=user)
    return (found if pk is None else found.filter(pk=pk)).delete()[0]
