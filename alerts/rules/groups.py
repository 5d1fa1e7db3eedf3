"""Writes of groups of rules."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from alerts.models import RuleGroup
from alerts.rules.edits import template_problem
from alerts.rules.locks import lock_group, with_retries
from core.audit.record import record, record_change, snapshot

AUDITED = ("name", "interval_seconds", "query_offset_seconds", "limit", "labels")
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 86_400
LONGEST_OFFSET = 7 * 86_400
MAX_LIMIT = 1_000_000


class GroupError(ValueError):
    """A write that is refused. `errors` maps the field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


def create_group(name: str, interval_seconds: int = 60, **fields: Any) -> RuleGroup:
    """A new group; its first slot is the next one. Raises GroupError."""
    group = RuleGroup(name=name, interval_seconds=interval_seconds, **fields)
    _check(group)
    with transaction.atomic():
        group.save()
        record("created", group, after=snapshot(group, AUDITED))
    return group


@with_retries
def update_group(group: RuleGroup, **fields: Any) -> RuleGroup:
    """Change what it is called, when its rules are evaluated, and what holds for all of them. Raises GroupError."""
    with transaction.atomic():
        lock_group(group.pk)
        old = snapshot(group, AUDITED)
        for name, value in fields.items():
            setattr(group, name, value)
        _check(group)
        group.save(update_fields=[*fields])
        record_change(group, old, snapshot(group, AUDITED))
    return group


@with_retries
def delete_group(group: RuleGroup) -> None:
    """Remove a group without rules. Raises GroupError where it has some."""
    with transaction.atomic():
        lock_group(group.pk)
        if count := group.rules.count():
            raise GroupError({"name": f"has {count} rules: delete them first"})
        record("deleted", group, before=snapshot(group, AUDITED))
        group.delete()


def _check(group: RuleGroup) -> None:
    errors = {}
    if not group.name.strip():
        errors["name"] = "is missing"
    elif RuleGroup.objects.filter(name=group.name).exclude(pk=group.pk).exists():
        errors["name"] = "is taken"
    if not SHORTEST_SECONDS <= group.interval_seconds <= LONGEST_SECONDS:
        errors["interval_seconds"] = f"must be between {SHORTEST_SECONDS} and {LONGEST_SECONDS}"
    if not 0 <= group.query_offset_seconds <= LONGEST_OFFSET:
        errors["query_offset_seconds"] = f"must be between 0 and {LONGEST_OFFSET}"
    if not 0 <= group.limit <= MAX_LIMIT:
        errors["limit"] = f"must be between 0 and {MAX_LIMIT}"
    labels = group.labels
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        errors["labels"] = "must be names with texts"
    elif "" in labels or "__name__" in labels:
        errors["labels"] = "a label must have a name, and not that of the metric"
    elif problem := template_problem(labels):
        errors["labels"] = problem
    if errors:
        raise GroupError(errors)
