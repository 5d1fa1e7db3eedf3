"""Editions of what people edit: a change made from an old one is refused, by `If-Match` in the API and a hidden field
in forms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model
from django.forms.models import model_to_dict

from core.pg.locks import AdvisoryLock

LOCK = AdvisoryLock(7_310_005)


class Outdated(Exception):
    """The object was changed since it was read."""

    def __str__(self) -> str:
        return (
            "Somebody else changed this after you opened it. What you typed is still here: look at the present state in"
            " another tab, then save again to replace it."
        )


def edition_of(instance: Model) -> str:
    """A text that changes with every edit: of all editable fields, of `version` or `updated_at`, and of a model's own
    `edition_mark`."""
    values = model_to_dict(instance)
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = sorted(str(getattr(one, "pk", one)) for one in value)
    columns = {field.name for field in instance._meta.concrete_fields} & {"version", "updated_at"}
    editions = [getattr(instance, name) for name in sorted(columns)] + [getattr(instance, "edition_mark", None)]
    text = json.dumps([values, editions], cls=DjangoJSONEncoder, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def editing(instance: Model, edition: str) -> Iterator[None]:
    """Hold off other editors of the object until the end of the transaction. Raises Outdated unless `edition` is the
    present one.

    An empty edition is not checked. The lock is an advisory one: a row's lock would have to be taken in the order of
    the write.
    """
    with transaction.atomic():
        if edition:
            with connection.cursor() as cursor:
                LOCK.take(cursor, f"{instance._meta.label} {instance.pk}")
            newest = type(instance)._default_manager.filter(pk=instance.pk).first()
            if newest is None or edition_of(newest) != edition:
                raise Outdated
        yield


def edition_of_text(text: str) -> str:
    """The edition of what people edit as a text that is stored otherwise."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def editing_text(name: str, read: Callable[[], str], edition: str) -> Iterator[None]:
    """As `editing`, of a text that `read` gives; all who edit under one `name` wait for each other."""
    with transaction.atomic():
        if edition:
            with connection.cursor() as cursor:
                LOCK.take(cursor, name)
            if edition_of_text(read()) != edition:
                raise Outdated
        yield
