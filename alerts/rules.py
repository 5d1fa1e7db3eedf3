"""Writes of rules. Every edit is checked, and kept as a `RuleChange`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from alerts.expression import ExpressionError, check
from alerts.models import Channel, Rule, RuleChange, RuleGroup, Runbook, Severity, author_fields
from alerts.simple import SimpleRule, to_promql


class RuleError(ValueError):
    """An edit that is refused. `errors` maps the field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


class Unset:
    """The type of `UNSET`."""


UNSET = Unset()


@dataclass(frozen=True, kw_only=True)
class RuleEdit:
    """Which fields to change; what is left UNSET stays."""

    title: str | Unset = UNSET
    expr: str | Unset = UNSET
    threshold: float | Unset | None = UNSET
    unit: str | Unset = UNSET
    threshold_unit: str | Unset = UNSET
    for_seconds: int | Unset = UNSET
    keep_firing_seconds: int | Unset = UNSET
    severity: str | Unset = UNSET
    labels: dict[str, str] | Unset = UNSET
    annotations: dict[str, str] | Unset = UNSET
    enabled: bool | Unset = UNSET
    paused_until: dt.datetime | Unset | None = UNSET
    runbook: Runbook | Unset | None = UNSET
    channel_kinds: list[str] | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if not isinstance(value, Unset)}


def update_rule(
    rule: Rule, edit: RuleEdit, *, by: User | None, now: dt.datetime, channels: Iterable[Channel] | None = None
) -> RuleChange | None:
    """Apply the edit. None when nothing changes; RuleError says what is wrong, by field, and then nothing is written."""
    with transaction.atomic():
        locked = Rule.objects.select_for_update().get(pk=rule.pk)
        changed: dict[str, list[Any]] = {}
        for name, value in edit.given().items():
            old = getattr(locked, name)
            if old != value:
                changed[name] = [plain(old), plain(value)]
                setattr(locked, name, value)
        if channels is not None:
            changed |= _set_channels(locked, channels)
        if not changed:
            return None
        validate(locked)
        locked.version += 1
        locked.save(update_fields=[*(name for name in changed if name != "channels"), "version"])
        change = RuleChange.objects.create(
            rule=locked, version=locked.version, at=now, fields=changed, **author_fields(by)
        )
    rule.refresh_from_db()
    return change


def set_enabled(rule: Rule, enabled: bool, *, by: User | None, now: dt.datetime) -> None:
    """Switch the rule on or off. Off, its open alerts end at the next evaluation of its group, without a message."""
    update_rule(rule, RuleEdit(enabled=enabled), by=by, now=now)


def pause(rule: Rule, until: dt.datetime, *, by: User | None, now: dt.datetime) -> None:
    """Stop evaluating the rule until then; its open alerts end at the next evaluation of its group, without a message."""
    if until <= now:
        raise RuleError({"paused_until": "must be in the future"})
    update_rule(rule, RuleEdit(paused_until=until), by=by, now=now)


def resume(rule: Rule, *, by: User | None, now: dt.datetime) -> None:
    """End a pause now."""
    update_rule(rule, RuleEdit(paused_until=None), by=by, now=now)


def create_rule(group: RuleGroup, name: str, edit: RuleEdit, *, by: User | None, now: dt.datetime) -> Rule:
    """A new rule at the end of its group; RuleError when it is not usable."""
    if not name.strip():
        raise RuleError({"name": "is missing"})
    if Rule.objects.filter(name=name).exists():
        raise RuleError({"name": "is taken"})
    given = edit.given()
    with transaction.atomic():
        last = group.rules.aggregate(last=Max("position"))["last"]
        rule = Rule(group=group, name=name, position=0 if last is None else last + 1, **given)
        validate(rule)
        rule.save()
        history = {field: [None, plain(value)] for field, value in given.items()}
        RuleChange.objects.create(rule=rule, version=1, at=now, fields=history, **author_fields(by))
    return rule


def import_simple(group: str, rules: Iterable[SimpleRule], *, by: User | None, now: dt.datetime) -> list[Rule]:
    """Rules written in the simple format, as the PromQL that they become; all of them or, with a RuleError, none.

    `group` is the name of theirs, which is made if it is missing.
    """
    with transaction.atomic():
        goes_to, _ = RuleGroup.objects.get_or_create(name=group)
        return [_import_one(goes_to, rule, by, now) for rule in rules]


def _import_one(group: RuleGroup, simple: SimpleRule, by: User | None, now: dt.datetime) -> Rule:
    became = to_promql(simple)
    edit = RuleEdit(
        expr=became.expr,
        threshold=became.threshold,
        severity=simple.severity,
        channel_kinds=list(simple.notification),
    )
    return create_rule(group, simple.name, edit, by=by, now=now)


def validate(rule: Rule) -> None:
    """RuleError unless the rule can be evaluated."""
    errors: dict[str, str] = {}
    try:
        check(rule.expr, rule.threshold)
    except ExpressionError as error:
        errors[error.field] = str(error)
    for name in ("for_seconds", "keep_firing_seconds"):
        if not 0 <= getattr(rule, name) <= 30 * 86400:
            errors[name] = "must be between 0 and 30 days"
    if rule.severity not in Severity.values:
        errors["severity"] = f"must be one of {', '.join(Severity.values)}"
    if set(rule.channel_kinds) - set(Channel.Kind.values):
        errors["channel_kinds"] = f"must be among {', '.join(Channel.Kind.values)}"
    for name in ("labels", "annotations"):
        texts = getattr(rule, name)
        if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
            errors[name] = "must be names with texts"
    if errors:
        raise RuleError(errors)


def plain(value: Any) -> Any:
    """A field's value as JSON keeps it."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Runbook):
        return value.slug
    return value


def _set_channels(rule: Rule, channels: Iterable[Channel]) -> dict[str, list[Any]]:
    """Choose the rule's channels; what changed, by name."""
    old = sorted(channel.name for channel in rule.channels.all())
    chosen = list(channels)
    new = sorted(channel.name for channel in chosen)
    if old == new:
        return {}
    rule.channels.set(chosen)
    return {"channels": [old, new]}
