"""What pages read of marks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from core.accounts.ownership import owned
from usage.models import Mark

MAX_MARKS = 50


def marks_between(start: datetime, end: datetime, workspaces: Collection[str] | None) -> list[Mark]:
    """The marks from `start` to `end`, the newest first, that a reader of these workspaces (None: all) may see."""
    return list(Mark.objects.filter(owned(workspaces), at__range=(start, end)).select_related("workspace")[:MAX_MARKS])
