"""What importing a file would do, and doing it: new, changed, same, and not understood with the
reason. Doing it twice changes nothing more."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q

import promql
from alerts.exchange import grafana, prometheus
from alerts.exchange.bounds import bounded
from alerts.exchange.drafts import Drafts, GroupDraft, RuleDraft
from alerts.exchange.simple import read as read_simple
from alerts.models import Rule, RuleGroup, Runbook
from alerts.rulefiles.document import Document, FileError, Problem
from alerts.rules import edits, groups
from alerts.rules.expression import ExpressionError, expand
from alerts.rules.locks import lock_group
from core.accounts.holder import Actor
from core.accounts.models import Workspace

DEFAULT_INTERVAL = 60
MAX_CHARACTERS = 1_000_000  # of a file that comes through a page or the API


@dataclass
class RuleStep:
    """What becomes of one rule of the file. `changes` maps fields to old and new."""

    draft: RuleDraft
    action: str
    rule: Rule | None = None
    handle: str = ""
    changes: dict[str, list[Any]] = field(default_factory=dict)
    edit: edits.RuleEdit = field(default_factory=edits.RuleEdit)

    @property
    def group_name(self) -> str:
        """The group that it belongs to."""
        return self.draft.group

    @property
    def rule_name(self) -> str:
        """What it raises or records."""
        return self.draft.name


@dataclass
class GroupStep:
    """What becomes of one group of the file."""

    draft: GroupDraft
    action: str
    group: RuleGroup | None = None
    changes: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def group_name(self) -> str:
        """Its name."""
        return self.draft.name


@dataclass
class Plan:
    """What importing a file would do. `only_here` are rules of its groups that the file does not name: they stay."""

    format: str
    groups: list[GroupStep] = field(default_factory=list)
    rules: list[RuleStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    only_here: list[Rule] = field(default_factory=list)

    def count(self, action: str) -> int:
        """How many rules are new, changed or same."""
        return sum(step.action == action for step in self.rules)

    @property
    def new_count(self) -> int:
        """Rules that are new."""
        return self.count("new")

    @property
    def changed_count(self) -> int:
        """Rules that are different."""
        return self.count("changed")

    @property
    def same_count(self) -> int:
        """Rules that are as they were."""
        return self.count("same")

    @property
    def steps(self) -> list[RuleStep | GroupStep]:
        """What becomes of the file's groups, then of its rules."""
        return [*self.groups, *self.rules]

    @property
    def shown(self) -> list[RuleStep | GroupStep]:
        """What is not the same: groups, then rules."""
        return [step for step in self.steps if step.action != "same"]

    @property
    def is_change(self) -> bool:
        """Whether importing would change anything."""
        return bool(self.shown)


def read_file(text: str, file: str, group: str = "imported") -> Drafts:
    """The rules of a file in any of the formats; those of the simple format go into `group`."""
    try:
        document = Document(text, file)
        data = document.data()
    except FileError as error:
        return Drafts("", problems=[error.problem])
    if isinstance(data, list) or (isinstance(data, dict) and "alerts" in data):
        return bounded(read_simple(document, text, group), file)
    found = data.get("groups") if isinstance(data, dict) else None
    is_grafana = isinstance(data, dict) and ("apiVersion" in data or _has_titles(found))
    return bounded(grafana.read(document) if is_grafana else prometheus.read(document), file)


def _has_titles(found: Any) -> bool:
    rules = (rule for group in found or [] if isinstance(group, dict) for rule in group.get("rules") or [])
    return isinstance(found, list) and any(isinstance(rule, dict) and "title" in rule for rule in rules)


def plan(drafts: Drafts, workspace: Workspace | None, file: str = "") -> Plan:
    """What importing would do for an owner. Nothing is written."""
    found = Plan(drafts.format, problems=list(drafts.problems), notes=list(drafts.notes))
    known = {group.name: group for group in RuleGroup.objects.filter(name__in=[one.name for one in drafts.groups])}
    found.groups = [_group_step(one, known.get(one.name)) for one in drafts.groups]
    rules = Rule.objects.filter(group__in=known.values(), workspace=workspace, external=False)
    here = list(
        rules.select_related("group", "workspace", "runbook").prefetch_related("channels").order_by("position", "id")
    )
    taken = set(Rule.objects.filter(workspace=workspace).values_list("name", flat=True))
    matched, runbooks = _matches(drafts.rules, here), _runbooks(drafts.rules, workspace)
    for draft in drafts.rules:
        rule = matched.get(id(draft))
        step = _changed(draft, rule, runbooks) if rule is not None else _new(draft, taken, runbooks)
        problem = _refusal(step, known.get(draft.group), workspace)
        if problem:
            found.problems.append(Problem(file, 1, 1, f'group "{draft.group}", "{draft.name}": {problem}'))
        else:
            found.rules.append(step)
    used = {rule.pk for rule in matched.values()}
    found.only_here = [rule for rule in here if rule.pk not in used]
    return found


def apply(
    wanted: Plan, workspace: Workspace | None, *, by: Actor | None, now: dt.datetime, changes_groups: bool
) -> None:
    """Do what the plan says, all of it or, with a RuleError or GroupError, nothing. `changes_groups`:
    whether groups that exist may be changed."""
    with transaction.atomic():
        by_name = {step.draft.name: _apply_group(step, changes_groups) for step in wanted.groups}
        order: dict[int, list[int]] = defaultdict(list)
        for step in wanted.rules:
            if step.action == "new":
                group = by_name[step.draft.group]
                step.rule = edits.create_rule(group, step.handle, step.edit, by=by, now=now, workspace=workspace)
            elif step.action == "changed" and step.rule is not None:
                edits.update_rule(step.rule, step.edit, by=by, now=now)
            if step.rule is not None:
                order[step.rule.group_id].append(step.rule.pk)
        for group_id, ids in order.items():
            _put_in_order(group_id, ids)


def _apply_group(step: GroupStep, may_change: bool) -> RuleGroup:
    if step.group is None:
        wanted = step.draft
        return groups.create_group(
            wanted.name,
            wanted.interval_seconds or DEFAULT_INTERVAL,
            query_offset_seconds=wanted.query_offset_seconds,
            limit=wanted.limit,
            labels=wanted.labels,
        )
    if step.changes and may_change:
        groups.update_group(step.group, **{name: new for name, (_, new) in step.changes.items()})
    return step.group


def _put_in_order(group_id: int, ids: Sequence[int]) -> None:
    """Bring the rules of a group into the order of the file, before those that it does not name."""
    lock_group(group_id)
    present = list(Rule.objects.filter(group=group_id).order_by("position", "pk"))
    places = {pk: place for place, pk in enumerate(ids)}
    wanted = sorted(present, key=lambda rule: places.get(rule.pk, len(places)))
    # Rules that are in this order already keep their numbers.
    if wanted != present:
        for position, rule in enumerate(wanted):
            rule.position = position
        Rule.objects.bulk_update(wanted, ["position"])


def _group_step(draft: GroupDraft, group: RuleGroup | None) -> GroupStep:
    if group is None:
        return GroupStep(draft, "new")
    rounded = -(-group.interval_seconds // draft.interval_step) * draft.interval_step
    interval = group.interval_seconds if draft.interval_seconds in (None, rounded) else draft.interval_seconds
    wanted = {
        "interval_seconds": interval,
        "query_offset_seconds": draft.query_offset_seconds,
        "limit": draft.limit,
        "labels": draft.labels,
    }
    said = {name: new for name, new in wanted.items() if name not in draft.unsaid}
    changes = {name: [getattr(group, name), new] for name, new in said.items() if getattr(group, name) != new}
    return GroupStep(draft, "changed" if changes else "same", group, changes)


def _matches(drafts: Iterable[RuleDraft], here: Sequence[Rule]) -> dict[int, Rule]:
    """Which rule of the portal each draft is, by the id of the draft: as in Prometheus by group, name and labels; what
    is left, where its name occurs in the group, in order."""
    left = list(here)
    found: dict[int, Rule] = {}
    waiting = list(drafts)
    for key_of_draft, key_of_rule in (
        (
            lambda one: (*_name(one), frozenset(one.labels.items())),
            lambda rule: (*_name_here(rule), frozenset(prometheus.labels_of(rule).items())),
        ),
        (_name, _name_here),
    ):
        by_key: dict[Any, list[Rule]] = defaultdict(list)
        for rule in left:
            by_key[key_of_rule(rule)].append(rule)
        still = []
        for draft in waiting:
            if by_key[key_of_draft(draft)]:
                found[id(draft)] = by_key[key_of_draft(draft)].pop(0)
            else:
                still.append(draft)
        waiting, used = still, {rule.pk for rule in found.values()}
        left = [rule for rule in left if rule.pk not in used]
    return found


def _name(draft: RuleDraft) -> tuple[str, bool, str]:
    return draft.group, draft.is_recording, draft.name


def _name_here(rule: Rule) -> tuple[str, bool, str]:
    return rule.group.name, bool(rule.record), rule.record or rule.alert_name


def _new(draft: RuleDraft, taken: set[str], runbooks: Mapping[str, Runbook]) -> RuleStep:
    handle, number = draft.name[:190], 2
    while handle in taken:
        handle, number = f"{draft.name[:190]} ({number})", number + 1
    taken.add(handle)
    expr, threshold = prometheus.tunable(draft.expr) if draft.threshold is None else (draft.expr, draft.threshold)
    severity, labels = prometheus.severity_of(draft.labels)
    annotations, runbook = _runbook(draft.annotations, runbooks)
    alerting: dict[str, Any] = {}
    if draft.is_recording:
        expr, threshold, labels = draft.expr, None, dict(draft.labels)
        alerting = {"record": draft.name}
    elif handle != draft.name:
        alerting = {"alertname": draft.name}
    if draft.enabled is not None:
        alerting["enabled"] = draft.enabled
    if runbook is not None:
        alerting["runbook"] = runbook
    if draft.origin:
        alerting["origin"] = draft.origin
    if draft.channel_kinds:
        alerting["channel_kinds"] = list(draft.channel_kinds)
    alerting |= draft.judged
    edit = edits.RuleEdit(
        expr=expr,
        threshold=threshold,
        for_seconds=draft.for_seconds,
        keep_firing_seconds=draft.keep_firing_seconds,
        severity=severity,
        labels=labels,
        annotations=annotations,
        **alerting,
    )
    return RuleStep(draft, "new", handle=handle, edit=edit)


def _changed(draft: RuleDraft, rule: Rule, runbooks: Mapping[str, Runbook]) -> RuleStep:
    given: dict[str, Any] = {}
    if not _same_query(draft, rule):
        given["expr"], given["threshold"] = (
            ((draft.expr, None) if draft.is_recording else prometheus.tunable(draft.expr))
            if draft.threshold is None
            else (draft.expr, draft.threshold)
        )
    for name in ("for_seconds", "keep_firing_seconds"):
        if name not in draft.unsaid and getattr(rule, name) != getattr(draft, name):
            given[name] = getattr(draft, name)
    # Grafana has no labels of groups: an export puts them to each rule's.
    of_group = rule.group.labels if draft.nodes else {}
    if {**of_group, **prometheus.labels_of(rule)} != draft.labels:
        severity, labels = (rule.severity, draft.labels) if draft.is_recording else prometheus.severity_of(draft.labels)
        given |= {"severity": severity, "labels": labels}
    if "annotations" not in draft.unsaid and prometheus.annotations_of(rule) != draft.annotations:
        given["annotations"], runbook = _runbook(draft.annotations, runbooks)
        given |= {} if runbook is None else {"runbook": runbook}
    given |= {name: value for name, value in draft.judged.items() if getattr(rule, name) != value}
    if draft.enabled is not None and rule.enabled != draft.enabled:
        given["enabled"] = draft.enabled
    if draft.origin not in ({}, rule.origin, {"grafana": grafana.kept_of(rule)}):
        given["origin"] = draft.origin
    changes = {name: [edits.plain(getattr(rule, name)), edits.plain(new)] for name, new in given.items()}
    changes = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    return RuleStep(draft, "changed" if changes else "same", rule, rule.name, changes, edits.RuleEdit(**given))


def _same_query(draft: RuleDraft, rule: Rule) -> bool:
    """Whether both ask the same, however it is written."""
    try:
        mine, theirs = expand(rule.expr, rule.threshold), expand(draft.expr, draft.threshold)
        if draft.nodes and grafana.is_query(draft.nodes, mine):
            return True
        return promql.format_node(promql.parse(mine).expr) == promql.format_node(promql.parse(theirs).expr)
    except (ExpressionError, promql.PromQLError):
        return False


def _runbooks(drafts: Iterable[RuleDraft], workspace: Workspace | None) -> dict[str, Runbook]:
    """The runbooks that the drafts' annotations lead to, by slug: those of the owner and of the whole portal."""
    slugs = {slug for draft in drafts if (slug := _runbook_slug(draft.annotations))}
    usable = Runbook.objects.filter(Q(workspace=None) | Q(workspace=workspace), slug__in=slugs)
    return {runbook.slug: runbook for runbook in usable}


def _runbook_slug(annotations: Mapping[str, str]) -> str:
    """Of the portal's runbook that their `runbook_url` leads to; empty where it leads elsewhere."""
    url = annotations.get("runbook_url", "")
    if not url.startswith(prometheus.runbook_url("x")[:-2]):
        return ""
    return next((part for part in reversed(urlsplit(url).path.split("/")) if part), "")


def _runbook(annotations: dict[str, str], runbooks: Mapping[str, Runbook]) -> tuple[dict[str, str], Runbook | None]:
    """The annotations, and the runbook that their `runbook_url` leads to, in its place."""
    runbook = runbooks.get(_runbook_slug(annotations))
    if runbook is None:
        return dict(annotations), None
    return {name: text for name, text in annotations.items() if name != "runbook_url"}, runbook


def _refusal(step: RuleStep, group: RuleGroup | None, workspace: Workspace | None) -> str:
    """Why the portal would refuse the rule; empty where it would not."""
    if step.action == "same":
        return ""
    rule = step.rule or Rule(group=group or RuleGroup(), name=step.handle, workspace=workspace)
    tried = Rule(**{f.attname: getattr(rule, f.attname) for f in Rule._meta.concrete_fields})
    for name, value in step.edit.given().items():
        setattr(tried, name, value)
    try:
        edits.validate(tried)
    except edits.RuleError as error:
        return str(error)
    return ""


def lines(found: Plan) -> Iterator[str]:
    """The plan as text, a line per group and rule that is not the same, then what was not understood."""
    for group in found.groups:
        if group.action != "same":
            yield f"{group.action}: group {group.draft.name}{_described(group.changes)}"
    for rule in found.rules:
        if rule.action != "same":
            yield f"{rule.action}: {rule.draft.group} / {rule.draft.name}{_described(rule.changes)}"
    for rule_here in found.only_here:
        yield f"only here: {rule_here.group.name} / {rule_here.record or rule_here.alert_name}"
    for problem in found.problems:
        yield f"not understood: {problem}"
    for note in found.notes:
        yield f"note: {note}"
    yield (
        f"{found.count('new')} new, {found.count('changed')} changed, {found.count('same')} the same, "
        f"{len(found.problems)} not understood"
    )


def _described(changes: dict[str, list[Any]]) -> str:
    return "".join(f"\n    {name}: {old!r} → {new!r}" for name, (old, new) in changes.items())
