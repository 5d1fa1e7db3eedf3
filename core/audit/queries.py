"""What the page reads of the audit log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from core.accounts import permissions
from core.accounts.permissions import Person
from core.audit.models import AuditLine

PAGE = 50
MAX_EXPORTED = 100_000


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which lines; what is empty does not filter. `text` is looked for in names and actions."""

    actor: str = ""
    via: str = ""
    object_type: str = ""
    object_id: str = ""
    workspace: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AuditPage:
    """A page of the log, newest first. Numbers count from 1."""

    lines: list[AuditLine]
    number: int
    has_next: bool


def seen_by(user: Person) -> Q:
    """The lines that the person may see: all for superusers, else those of the workspaces that they operate, and their
    own."""
    if permissions.sees_all(user):
        return Q()
    slugs: Collection[str] = list(permissions.operated(user).values_list("slug", flat=True))
    seen = Q(workspace__in=slugs)
    return seen if user.pk is None else seen | Q(actor_id=user.pk)


def lines(user: Person, wanted: AuditFilter) -> QuerySet[AuditLine]:
    """The lines that match, newest first."""
    found = AuditLine.objects.filter(seen_by(user))
    for name in ("actor", "via", "object_type", "object_id", "workspace"):
        if value := getattr(wanted, name):
            found = found.filter(**{name: value})
    if wanted.text:
        found = found.filter(Q(object_name__icontains=wanted.text) | Q(action__icontains=wanted.text))
    if wanted.since is not None:
        found = found.filter(at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(at__lt=wanted.until)
    return found


def page(user: Person, wanted: AuditFilter, number: int) -> AuditPage:
    """One page of the lines."""
    start = (number - 1) * PAGE
    rows = list(lines(user, wanted)[start : start + PAGE + 1])
    return AuditPage(rows[:PAGE], number, len(rows) > PAGE)


def object_types(user: Person) -> list[str]:
    """The types of objects that the person's lines are about."""
    return list(
        AuditLine.objects.filter(seen_by(user)).order_by("object_type").values_list("object_type", flat=True).distinct()
    )
