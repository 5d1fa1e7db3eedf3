"""Prometheus's rule files and vmalert's, which are the same with more fields."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import msgspec
from django.conf import settings

from alerts.exchange.drafts import Drafts, GroupDraft, RuleDraft, whole_seconds
from alerts.exchange.yaml_text import dump
from alerts.models import Rule, RuleGroup, Severity
from alerts.routing.durations import write_duration
from alerts.rulefiles.document import Document, FileError
from alerts.rulefiles.rules import FileFields, GroupFields, RuleFields, own_problems, rule_problems
from alerts.rules.expression import PLACEHOLDER, ExpressionError, expand, split
from alerts.rules.models import FILED, LONGEST_FILED

# What vmalert knows and the portal has no use for.
VMALERT_GROUP = (
    "eval_offset",
    "eval_alignment",
    "concurrency",
    "type",
    "params",
    "headers",
    "notifier_headers",
    "tenant",
    "debug",
)
VMALERT_RULE = ("debug", "update_entries_limit")
STAND_IN = 123_454_321.0
PART_OF_WORD = re.compile(r"[\w.\[\]]")
# The portal's severity for what others call theirs: it decides who is notified where no channel is chosen.
LIKE = {
    "page": "critical",
    "error": "critical",
    "emergency": "critical",
    "ticket": "warning",
    "none": "info",
    "notice": "info",
}


def read(document: Document) -> Drafts:
    """The rules of a Prometheus rule file; where it has fields of vmalert's, of that. A rule
    with a problem is named and left out."""
    try:
        fields, extras, form = document.read(FileFields), {}, "prometheus"
    except FileError as error:
        cleaned = _without_vmalert(document)
        if cleaned is None:
            return Drafts("prometheus", problems=[error.problem])
        fields, extras, form = *cleaned, "vmalert"
    found = Drafts(form)
    names: set[str] = set()
    for number, group in enumerate(fields.groups or []):
        wrong = list(own_problems(document, ("groups", number), group, names))
        found.problems += wrong
        if not wrong:
            _add_group(found, document, number, group, extras)
    return found


def _add_group(
    found: Drafts,
    document: Document,
    number: int,
    group: GroupFields,
    extras: Mapping[tuple[int, int | None], dict[str, Any]],
) -> None:
    try:
        found.groups.append(_group(group))
    except ValueError as error:
        found.problems.append(document.problem(("groups", number), str(error)))
        return
    found.notes += extras.get((number, None), {}).get("notes", [])
    for place, rule in enumerate(group.rules or []):
        path = ("groups", number, "rules", place)
        wrong = list(rule_problems(document, path, group, place, rule))
        try:
            one = _rule(group.name or "", rule)
        except ValueError as error:
            wrong = wrong or [document.problem(path, f'group "{group.name}", "{rule.name}": {error}')]
        else:
            one.origin = extras.get((number, place), {})
            found.rules += [] if wrong else [one]
        found.problems += wrong


def _group(group: GroupFields) -> GroupDraft:
    return GroupDraft(
        group.name or "",
        whole_seconds(group.interval, "interval") or None,
        whole_seconds(group.query_offset, "query_offset"),
        group.limit or 0,
        dict(group.labels or {}),
    )


def _rule(group: str, rule: RuleFields) -> RuleDraft:
    annotations, filed = unfiled(dict(rule.annotations or {}))
    return RuleDraft(
        group=group,
        name=rule.name,
        expr=rule.expr or "",
        is_recording=bool(rule.record),
        for_seconds=whole_seconds(rule.for_, "for"),
        keep_firing_seconds=whole_seconds(rule.keep_firing_for, "keep_firing_for"),
        labels=dict(rule.labels or {}),
        annotations=annotations,
        judged=filed,
    )


def _without_vmalert(document: Document) -> tuple[FileFields, dict[tuple[int, int | None], dict[str, Any]]] | None:
    """The file without what only vmalert knows, and what that was, by the places of group and
    rule; None where it still is no rule file."""
    data = document.data()
    extras: dict[tuple[int, int | None], dict[str, Any]] = {}
    if not isinstance(data, dict) or not isinstance(data.get("groups"), list):
        return None
    for number, group in enumerate(data["groups"]):
        if not isinstance(group, dict):
            return None
        if group.get("type") not in (None, "prometheus"):
            return None
        dropped = {name: group.pop(name) for name in VMALERT_GROUP if name in group}
        if "eval_delay" in group:
            group["query_offset"] = group.pop("eval_delay")
        names = ", ".join(name for name in dropped if name != "type")
        notes = [f'group "{group.get("name")}": {names} has no meaning here and is left out'] if names else []
        extras[number, None] = {"notes": notes}
        for place, rule in enumerate(group.get("rules") or []):
            if isinstance(rule, dict) and (known := {name: rule.pop(name) for name in VMALERT_RULE if name in rule}):
                extras[number, place] = {"vmalert": known}
    try:
        return msgspec.convert(data, FileFields, strict=False), extras
    except msgspec.ValidationError:
        return None


def write(rules: Iterable[Rule], *, vmalert: bool = False) -> str:
    """Rules, with their groups, as a Prometheus rule file, thresholds filled in; with
    `vmalert`, with what only it knows of them."""
    ordered = sorted(rules, key=lambda rule: (rule.group.name, rule.position, rule.pk))
    groups = [
        _group_fields(group, list(members), vmalert) for group, members in groupby(ordered, key=lambda rule: rule.group)
    ]
    return dump({"groups": groups})


def _group_fields(group: RuleGroup, rules: list[Rule], vmalert: bool) -> dict[str, Any]:
    offset = "eval_delay" if vmalert else "query_offset"
    return {
        "name": group.name,
        "interval": _duration(group.interval_seconds),
        **({offset: _duration(group.query_offset_seconds)} if group.query_offset_seconds else {}),
        **({"limit": group.limit} if group.limit else {}),
        **({"labels": dict(group.labels)} if group.labels else {}),
        "rules": [_rule_fields(rule, vmalert) for rule in rules],
    }


def _rule_fields(rule: Rule, vmalert: bool) -> dict[str, Any]:
    labels, notes = labels_of(rule), {**annotations_of(rule), **filed_of(rule)}
    return {
        **({"record": rule.record} if rule.record else {"alert": rule.alert_name}),
        "expr": expand(rule.expr, rule.threshold),
        **({"for": _duration(rule.for_seconds)} if rule.for_seconds else {}),
        **({"keep_firing_for": _duration(rule.keep_firing_seconds)} if rule.keep_firing_seconds else {}),
        **({"labels": labels} if labels else {}),
        **({"annotations": notes} if notes else {}),
        **(rule.origin.get("vmalert", {}) if vmalert else {}),
    }


def labels_of(rule: Rule) -> dict[str, str]:
    """The labels that a file gives the rule: its severity among them, unless it has one of its own, or none."""
    if rule.record:
        return dict(rule.labels)
    found = {"severity": rule.severity, **rule.labels}
    return {name: text for name, text in found.items() if name != "severity" or text}


def annotations_of(rule: Rule) -> dict[str, str]:
    """The annotations that a file gives the rule: the address of its runbook among them."""
    own = dict(rule.annotations)
    if rule.runbook is not None and "runbook_url" not in own:
        own["runbook_url"] = runbook_url(rule.runbook.slug)
    return own


def filed_of(rule: Rule, *, with_folder: bool = True) -> dict[str, str]:
    """Folder, owner and team of the rule, as annotations; one that records can have none."""
    names = () if rule.record else FILED if with_folder else FILED[1:]
    return {name: text for name in names if (text := getattr(rule, name))}


def unfiled(annotations: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A file's annotations without folder, owner and team, and these."""
    filed = {name: annotations[name] for name in FILED if 0 < len(annotations.get(name, "")) <= LONGEST_FILED}
    return {name: text for name, text in annotations.items() if name not in filed}, filed


def runbook_url(slug: str) -> str:
    """Where a runbook is on this portal."""
    return f"{settings.PORTAL.public_url}/runbooks/{slug}/"


def severity_of(labels: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The portal's severity for a file's labels, and the labels that are to be the rule's, so
    that its alerts have exactly the file's."""
    named = labels.get("severity")
    rest = {name: text for name, text in labels.items() if name != "severity"}
    if named in Severity.values:
        return named, rest
    if named is None:
        return Severity.WARNING, {**rest, "severity": ""}
    return LIKE.get(named.lower(), Severity.WARNING), {**rest, "severity": named}


def tunable(expr: str) -> tuple[str, float | None]:
    """The expression with its limit as `$threshold`, and the limit, where that is a plain number
    and the text can be had back exactly."""
    try:
        comparison = split(expr)
    except ExpressionError:
        return expr, None
    if comparison is None or comparison.number is None or PLACEHOLDER in expr:
        return expr, None
    limit = comparison.limit
    before, found, after = expr.rpartition(limit)
    # Inside a longer word or number it is something else.
    if not found or PART_OF_WORD.search(before[-1:] + " " + after[:1]):
        return expr, None
    tuned = f"{before}{PLACEHOLDER}{after}"
    try:
        moved = split(expand(tuned, STAND_IN))
        is_exact = expand(tuned, comparison.number) == expr
    except ExpressionError:
        return expr, None
    # Where the last such text is not the limit but another number, another number moves.
    is_limit = moved is not None and moved.number == STAND_IN
    return (tuned, comparison.number) if is_exact and is_limit else (expr, None)


def _duration(seconds: int) -> str:
    return write_duration(dt.timedelta(seconds=seconds))
