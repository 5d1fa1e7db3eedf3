"""Brings the portal to what files say: all of it in one transaction, or, for a plan, none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Model
from rest_framework.exceptions import APIException, ValidationError

from alerts.models import Channel
from alerts.oncall.policies import PolicyError
from alerts.oncall.schedules import ScheduleError
from core.api import managed
from core.api.models import ManagedObject
from core.api.problems import problem
from core.audit.models import AuditLine
from core.audit.origin import acting
from portal.configuration.documents import Entry, FileError
from portal.configuration.kinds import APPLY, KINDS, context, shown
from portal.configuration.secrets import SecretMissing, is_same, resolved


@dataclass(frozen=True)
class Change:
    """What is done to one object: `action` is create, change or delete; `fields` are those that change, old and new."""

    action: str
    subject: str
    fields: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        sign = {"create": "+", "change": "~", "delete": "-"}[self.action]
        lines = [f"    {name}: {_short(old)} → {_short(new)}" for name, (old, new) in self.fields.items()]
        return "\n".join([f"{sign} {self.subject}", *lines])


def apply(entries: list[Entry], environ: Mapping[str, str], *, only_plan: bool, prune: bool = False) -> list[Change]:
    """What changed, or, for a plan, what would. `prune` removes what came from files and is in none now. Raises
    FileError."""
    with acting(AuditLine.Via.APPLY, APPLY.name), transaction.atomic():
        changes = []
        kept: set[tuple[str, str]] = set()
        for entry in entries:
            change, instance = _one(entry, environ)
            kept.add((instance._meta.label_lower, str(instance.pk)))
            managed.manage(instance, entry.file)
            changes += [change] if change else []
        if prune:
            changes += _prune(kept)
        transaction.set_rollback(only_plan)
    return changes


def _one(entry: Entry, environ: Mapping[str, str]) -> tuple[Change | None, Model]:
    try:
        return _brought(entry, environ)
    except SecretMissing as error:
        raise FileError(f"{entry.file}: {entry}: {error}") from error
    except APIException as error:
        raise FileError(f"{entry.file}: {entry}: {problem(error.status_code, error.detail)['detail']}") from error
    except DatabaseError as error:
        raise FileError(f"{entry.file}: {entry}: {' '.join(str(error).split())}") from error


def _brought(entry: Entry, environ: Mapping[str, str]) -> tuple[Change | None, Model]:
    instance = _found(entry)
    if instance is None:
        given = {**entry.fields}
        if "config" in given:
            given["config"] = resolved(given["config"] or {}, environ)
        serializer = entry.kind.serializer(data=given, context=context())
        serializer.is_valid(raise_exception=True)
        made: Model = serializer.save()
        return Change("create", str(entry), {}), made
    present = shown(entry.kind, instance)
    given = {name: value for name, value in entry.fields.items() if name != "config"}
    fields = {name: (present.get(name), new) for name, new in given.items() if _differs(entry, instance, name, present)}
    wanted: dict[str, Any] = {name: given[name] for name in fields}
    if isinstance(instance, Channel) and "config" in entry.fields:
        config = _config(instance, entry.fields["config"] or {}, environ)
        if config is not None:
            wanted["config"], fields["config"] = config, ("•••", "•••")
    if not wanted:
        return None, instance
    serializer = entry.kind.serializer(instance, data=wanted, partial=True, context=context())
    serializer.is_valid(raise_exception=True)
    serializer.save()
    return Change("change", str(entry), fields), instance


def _config(channel: Channel, config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration to store; None where it is the same, or its variables are not set here: then the stored one
    stays."""
    try:
        found = resolved(config, environ)
    except SecretMissing:
        return None
    return None if is_same(channel, found) else found


def _found(entry: Entry) -> Model | None:
    lookup: dict[str, Any] = {}
    for name in entry.kind.keys:
        value = entry.fields.get(name)
        if name == "workspace":
            lookup |= {"workspace__slug": value} if value else {"workspace": None}
        elif name == "valid_from":
            lookup[name] = entry.kind.serializer().fields[name].run_validation(value)
        else:
            lookup[name] = value
    found: Model | None = entry.kind.rows().filter(**lookup).first()
    return found


def _differs(entry: Entry, instance: Model, name: str, present: Mapping[str, Any]) -> bool:
    """Whether the file's value is another, once it is written as the portal writes it."""
    given = entry.fields[name]
    if given == present.get(name):
        return False
    field = entry.kind.serializer(instance, context=context()).fields[name]
    try:
        value = field.run_validation(given)
    except ValidationError:
        return True
    return bool((None if value is None else field.to_representation(value)) != present.get(name))


def _prune(kept: set[tuple[str, str]]) -> list[Change]:
    changes = []
    for kind in reversed(KINDS):
        model = kind.rows().model
        gone = [
            row
            for row in ManagedObject.objects.filter(kind=model._meta.label_lower)
            if (row.kind, row.object_id) not in kept
        ]
        for row in gone if kind.remove else []:
            instance = kind.rows().filter(pk=row.object_id).first()
            if instance is not None and kind.remove:
                changes.append(Change("delete", f"{kind.name} {kind.name_of(shown(kind, instance))}", {}))
                try:
                    kind.remove(instance)
                except (PolicyError, ScheduleError) as error:
                    raise FileError(f"{changes[-1].subject}: {error}") from error
            managed.forget(row.kind, row.object_id)
    return changes


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
