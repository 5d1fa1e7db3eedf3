"""Undoing an edit of a rule, and removing a rule."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from alerts.models import Alert, Channel, Rule, RuleChange, Runbook
from alerts.recording.write import end_series
from alerts.rules.edits import RuleEdit, RuleError, update_rule
from alerts.rules.locks import lock_group, with_retries
from core.accounts.holder import Actor
from core.audit.record import record, snapshot


def undo(change: RuleChange, *, by: Actor | None, now: dt.datetime) -> RuleChange | None:
    """Give each field that the edit changed the value it had before; itself an edit.
    RuleError when that is not possible any more."""
    if change.version == 1:
        raise RuleError({"version": "the first version cannot be undone; delete the rule instead"})
    old: dict[str, Any] = {name: values[0] for name, values in change.fields.items()}
    channels = None
    if "channels" in old:
        names = old.pop("channels")
        channels = list(
            Channel.objects.filter(Q(workspace=None) | Q(workspace=change.rule.workspace_id), name__in=names)
        )
        if missing := set(names) - {channel.name for channel in channels}:
            raise RuleError({"channels": f"{', '.join(sorted(missing))} is gone"})
    if old.get("runbook"):
        slug = old["runbook"]
        old["runbook"] = Runbook.objects.filter(slug=slug).first()
        if old["runbook"] is None:
            raise RuleError({"runbook": f"{slug} is gone"})
    if old.get("paused_until"):
        old["paused_until"] = dt.datetime.fromisoformat(old["paused_until"])
    return update_rule(change.rule, RuleEdit(**old), by=by, now=now, channels=channels)


@with_retries
def delete_rule(rule: Rule) -> int:
    """Remove the rule with its alerts, their timelines and deliveries; how many alerts."""
    with transaction.atomic():
        lock_group(rule.group_id)
        alerts = Alert.objects.filter(rule=rule)
        count = alerts.count()
        record("deleted", rule, before={**snapshot(rule, RuleEdit.__dataclass_fields__), "alerts": count})
        alerts.delete()
        if rule.record:
            end_series(rule.pk, rule.workspace_id, rule.record, timezone.now())
        rule.delete()
    return count
