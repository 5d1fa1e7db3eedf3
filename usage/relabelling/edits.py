"""Writes of rules of labels."""

from __future__ import annotations

import re2
from django.db import transaction

from core.accounts.holder import Actor
from core.audit.record import record, record_change, snapshot
from promql.labels import compile_anchored
from usage.models import LabelRule
from usage.relabelling.applying import rules
from usage.relabelling.models import LABELS

AUDITED = ("kind", "label", "regex", "action", "replacement", "keep", "separator")
MAX_RULES = 100  # each of them looks at every new label set


def problems(rule: LabelRule) -> dict[str, str]:
    """Why a rule cannot be used, by field; none where it can."""
    found = {}
    if rule.label not in LABELS.get(rule.kind, ()):
        found["label"] = f"Clients choose these labels of {rule.kind}: {', '.join(LABELS.get(rule.kind, ()))}."
    try:
        compile_anchored(rule.regex)
    except re2.error as error:
        found["regex"] = f"This is no RE2 pattern: {error}."
    if rule.action in (LabelRule.CHARACTERS, LabelRule.SEGMENTS) and not 1 <= rule.keep <= 200:
        found["keep"] = "Between 1 and 200."
    if rule.action == LabelRule.SEGMENTS and not rule.separator:
        found["separator"] = "What stands between segments?"
    if rule.pk is None and LabelRule.objects.count() >= MAX_RULES:
        found["label"] = f"There are {MAX_RULES} rules already: one with a wider pattern replaces several."
    return found


def save_label_rule(rule: LabelRule, *, by: Actor | None = None) -> LabelRule:
    """Store a checked rule: it holds for label sets that come from now on, in every process within seconds."""
    old = LabelRule.objects.filter(pk=rule.pk).first()
    with transaction.atomic():
        rule.save()
        if old is None:
            record("created", rule, after=snapshot(rule, AUDITED), by=by)
        else:
            record_change(rule, snapshot(old, AUDITED), snapshot(rule, AUDITED), by=by)
    rules.forget()
    return rule


def delete_label_rule(rule: LabelRule, *, by: Actor | None = None) -> None:
    """Forget a rule; label sets that it made stay."""
    with transaction.atomic():
        record("deleted", rule, before=snapshot(rule, AUDITED), by=by)
        rule.delete()
    rules.forget()
