"""Writing a line of the audit log. Call it within the transaction of the change, so that both are stored or neither."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.utils import timezone

from core.accounts.holder import Actor
from core.audit.origin import Origin, current
from core.pg.text import storable

SECRET = re.compile(r"secret|passw|token|digest|credential|authorization|encrypted|webhook_url", re.IGNORECASE)
MASK = "•••"
LONGEST = 2000


def record(
    action: str,
    subject: models.Model,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    workspace: str | None = None,
    by: Actor | None = None,
) -> None:
    """Append a line: `action` was done to `subject`.

    `before` and `after` are the fields that changed. `workspace` is the slug of the workspace that it belongs to
    (default: the subject's own, if it has one). `by` is given where the caller knows who acts, else it is whoever makes
    the request.
    """
    origin = current()
    if by is not None:
        origin = Origin(origin.via, by.get_username(), by.pk, origin.address)
    owner = getattr(subject, "workspace", None)
    line = {
        "at": timezone.now(),
        "actor_id": origin.actor_id,
        "actor": origin.actor[:200],
        "via": origin.via,
        "address": origin.address,
        "action": action,
        "object_type": str(subject._meta.verbose_name),
        "object_id": str(subject.pk),
        "object_name": str(subject)[:300],
        "workspace": workspace or getattr(owner, "slug", None),
        "before": None if before is None else masked(before),
        "after": None if after is None else masked(after),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_append(%s::jsonb)", [json.dumps(line, cls=_Encoder)])


def record_change(
    subject: models.Model,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    by: Actor | None = None,
    action: str = "changed",
) -> None:
    """Append a line for the fields that differ; none where nothing does."""
    names = [name for name in after if before.get(name) != after[name]]
    if names:
        record(action, subject, before={n: before.get(n) for n in names}, after={n: after[n] for n in names}, by=by)


def snapshot(subject: models.Model, names: Iterable[str]) -> dict[str, Any]:
    """The subject's fields as they are now."""
    return {name: getattr(subject, name) for name in names}


def masked(value: Any, name: str = "") -> Any:
    """The value with what is secret by its name replaced, and long texts cut."""
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if SECRET.search(name):
        return MASK if value else value
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        text = storable(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
    return value


class _Encoder(DjangoJSONEncoder):
    """Objects by their names."""

    def default(self, o: Any) -> Any:
        return str(o) if isinstance(o, models.Model) else super().default(o)
