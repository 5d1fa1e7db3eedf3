"""Writes of rules. Every edit is checked, and kept as a `RuleChange`."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.db import transaction
from django.db.models import Max, Q

from alerts import gotemplate
from alerts.evaluation.series import OWN
from alerts.models import Channel, Rule, RuleChange, RuleGroup, Runbook, Severity, WithoutData, author_fields
from alerts.rules.expression import ExpressionError, check
from alerts.rules.judgement import check_judgement
from alerts.rules.locks import lock_group, with_retries
from alerts.rules.selectors import note_unmatched
from alerts.rules.thresholds import channel_names, rows_problem
from core.accounts.holder import Actor
from core.accounts.models import Workspace
from core.audit.record import record
from usage.catalog import BY_SERIES

MAX_FLAP_LIMIT = 1000
ALERTING_ONLY = (
    "for_seconds",
    "keep_firing_seconds",
    "recovery_threshold",
    "min_events",
    "no_data",
    "on_error",
    "flap_limit",
    "thresholds",
    "shadow",
    "annotations",
    "alertname",
    "runbook",
)
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_OF_NAME = "__name__"


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
    alertname: str | Unset = UNSET
    record: str | Unset = UNSET
    expr: str | Unset = UNSET
    threshold: float | Unset | None = UNSET
    unit: str | Unset = UNSET
    threshold_unit: str | Unset = UNSET
    for_seconds: int | Unset = UNSET
    keep_firing_seconds: int | Unset = UNSET
    recovery_threshold: float | Unset | None = UNSET
    min_events: float | Unset = UNSET
    no_data: str | Unset = UNSET
    on_error: str | Unset = UNSET
    flap_limit: int | Unset = UNSET
    thresholds: list[dict[str, Any]] | Unset = UNSET
    shadow: bool | Unset = UNSET
    severity: str | Unset = UNSET
    labels: dict[str, str] | Unset = UNSET
    annotations: dict[str, str] | Unset = UNSET
    enabled: bool | Unset = UNSET
    paused_until: dt.datetime | Unset | None = UNSET
    runbook: Runbook | Unset | None = UNSET
    channel_kinds: list[str] | Unset = UNSET
    origin: dict[str, Any] | Unset = UNSET
    folder: str | Unset = UNSET
    owner: str | Unset = UNSET
    team: str | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if not isinstance(value, Unset)}


@with_retries
def update_rule(
    rule: Rule, edit: RuleEdit, *, by: Actor | None, now: dt.datetime, channels: Iterable[Channel] | None = None
) -> RuleChange | None:
    """Apply the edit. None when nothing changes; RuleError describes the problem, by
    field, and then nothing is written."""
    with transaction.atomic():
        lock_group(rule.group_id)
        locked = Rule.objects.get(pk=rule.pk)
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
        if "record" in changed:
            raise RuleError({"record": "cannot be changed: its series would break off; make another rule"})
        validate(locked)
        locked.version += 1
        locked.save(update_fields=[*(name for name in changed if name != "channels"), "version"])
        change = RuleChange.objects.create(
            rule=locked, version=locked.version, at=now, fields=changed, **author_fields(by)
        )
        record_fields("changed", locked, changed, by)
    rule.refresh_from_db()
    if changed.keys() & {"expr", "threshold"}:
        note_unmatched([rule])
    return change


def set_enabled(rule: Rule, enabled: bool, *, by: Actor | None, now: dt.datetime) -> None:
    """Switch the rule on or off. Off, its open alerts end at the next evaluation of its group, without a message."""
    update_rule(rule, RuleEdit(enabled=enabled), by=by, now=now)


def pause(rule: Rule, until: dt.datetime, *, by: Actor | None, now: dt.datetime) -> None:
    """Stop evaluating the rule until then; its open alerts end at the next evaluation of
    its group, without a message."""
    if until <= now:
        raise RuleError({"paused_until": "must be in the future"})
    update_rule(rule, RuleEdit(paused_until=until), by=by, now=now)


def resume(rule: Rule, *, by: Actor | None, now: dt.datetime) -> None:
    """End a pause now."""
    update_rule(rule, RuleEdit(paused_until=None), by=by, now=now)


@with_retries
def create_rule(
    group: RuleGroup,
    name: str,
    edit: RuleEdit,
    *,
    by: Actor | None,
    now: dt.datetime,
    channels: Iterable[Channel] | None = None,
    workspace: Workspace | None = None,
) -> Rule:
    """A new rule at the end of its group, with its channels; `workspace` None: the whole
    portal's. RuleError when it is not usable."""
    if not name.strip():
        raise RuleError({"name": "is missing"})
    if Rule.objects.filter(name=name, workspace=workspace).exists():
        raise RuleError({"name": "is taken"})
    given = edit.given()
    with transaction.atomic():
        lock_group(group.pk)
        last = group.rules.aggregate(last=Max("position"))["last"]
        rule = Rule(group=group, name=name, workspace=workspace, position=0 if last is None else last + 1, **given)
        validate(rule)
        rule.save()
        history = {field: [None, plain(value)] for field, value in given.items()}
        history |= _set_channels(rule, channels or ())
        RuleChange.objects.create(rule=rule, version=1, at=now, fields=history, **author_fields(by))
        record("created", rule, after={field: new for field, (_, new) in history.items()}, by=by)
    note_unmatched([rule])
    return rule


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
    errors |= _record_problems(rule) or _judgement_problems(rule, errors)
    if rule.severity not in Severity.values:
        errors["severity"] = f"must be one of {', '.join(Severity.values)}"
    if set(rule.channel_kinds) - set(Channel.Kind.values):
        errors["channel_kinds"] = f"must be among {', '.join(Channel.Kind.values)}"
    for name in ("labels", "annotations"):
        texts = getattr(rule, name)
        if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
            errors[name] = "must be names with texts"
        elif problem := template_problem(texts):
            errors[name] = problem
    if rule.runbook is not None and not may_use(rule, rule.runbook):
        errors["runbook"] = "must be of the rule's workspace, or of the whole portal"
    if errors:
        raise RuleError(errors)


def _record_problems(rule: Rule) -> dict[str, str]:
    """What is wrong with a recording rule; nothing of an alerting rule."""
    if not rule.record:
        return {}
    errors = {}
    if not METRIC.fullmatch(rule.record):
        errors["record"] = "must be a metric's name: letters, digits, _ and :"
    elif rule.record in BY_SERIES or rule.record in OWN:
        errors["record"] = "is a metric that the portal has already"
    usual = Rule()
    for field in ALERTING_ONLY:
        if getattr(rule, field) != getattr(usual, field):
            errors[field] = "belongs to an alerting rule, not to one that records"
    if LABEL_OF_NAME in rule.labels:
        errors["labels"] = f"{LABEL_OF_NAME} is the metric's name"
    return errors


def _judgement_problems(rule: Rule, errors: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with how an alerting rule judges what it measures; `errors` are those found before."""
    found = {}
    for name in ("no_data", "on_error"):
        if getattr(rule, name) not in WithoutData.values:
            found[name] = f"must be one of {', '.join(WithoutData.values)}"
    if not 0 <= rule.flap_limit <= MAX_FLAP_LIMIT:
        found["flap_limit"] = f"must be between 0 and {MAX_FLAP_LIMIT}"
    if not 0 <= rule.min_events < math.inf:
        found["min_events"] = "must not be negative"
    if problem := rows_problem(rule.thresholds) or _channel_problem(rule):
        found["thresholds"] = problem
    if not found and not errors.keys() & {"expr", "threshold"}:
        try:
            check_judgement(rule)
        except ExpressionError as error:
            found[error.field] = str(error)
    return found


def _channel_problem(rule: Rule) -> str:
    """Which channel of the rule's table there is not."""
    names = channel_names(rule.thresholds)
    if not names:
        return ""
    usable = Channel.objects.filter(Q(workspace=None) | Q(workspace=rule.workspace_id), name__in=names)
    gone = sorted(names - set(usable.values_list("name", flat=True)))
    return f"there is no channel {gone[0]}" if gone else ""


def may_use(rule: Rule, thing: Channel | Runbook) -> bool:
    """Whether the rule may notify the channel or show the runbook: what is the portal's, or its own workspace's."""
    return thing.workspace_id in (None, rule.workspace_id)


def template_problem(texts: Mapping[str, str]) -> str:
    """Which of the templates cannot be parsed, where and why; empty when all can."""
    for name, text in texts.items():
        try:
            gotemplate.parse(text)
        except gotemplate.TemplateError as error:
            return f"{name}, character {(error.position or 0) + 1}: {error.message}"
    return ""


def plain(value: Any) -> Any:
    """A field's value as JSON keeps it."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, Runbook):
        return value.slug
    return value


def record_fields(action: str, rule: Rule, changed: Mapping[str, list[Any]], by: Actor | None) -> None:
    """The audit line of an edit: the old and new values of its history row."""
    before = {name: old for name, (old, _) in changed.items()}
    record(action, rule, before=before, after={name: new for name, (_, new) in changed.items()}, by=by)


def _set_channels(rule: Rule, channels: Iterable[Channel]) -> dict[str, list[Any]]:
    """Choose the rule's channels; what changed, by name."""
    old = sorted(channel.name for channel in rule.channels.all())
    chosen = list(channels)
    if any(not may_use(rule, channel) for channel in chosen):
        raise RuleError({"channels": "must be of the rule's workspace, or of the whole portal"})
    new = sorted(channel.name for channel in chosen)
    if old == new:
        return {}
    rule.channels.set(chosen)
    return {"channels": [old, new]}
