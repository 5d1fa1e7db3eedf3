"""What pages read of many rules: a page of them, filtered and in the order of what they are grouped by."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf
from django.http import QueryDict

from alerts.models import Alert, Rule, RuleGroup, State
from core.accounts.ownership import owned
from core.ui.listing import Listing, listed, searched

# By what rules are grouped and filtered, and what those that have none of it are called.
GROUPINGS = {"group": "", "folder": "No folder", "team": "No team", "owner": "No owner"}
MAX_CHOICES = 200
MAX_EMPTY = 50


@dataclass(frozen=True)
class Section:
    """Rules under one heading; `group` where that is their group."""

    heading: str
    rules: list[Rule]
    group: RuleGroup | None = None


@dataclass(frozen=True)
class RulePage:
    """A page of rules. `choices` are the values to filter by, `chosen` those of the URL, `by` how they are grouped."""

    page: Listing[Rule]
    by: str
    chosen: dict[str, str]
    choices: dict[str, list[str]]

    @property
    def is_filtered(self) -> bool:
        """Whether the URL leaves rules out."""
        return bool(self.page.text or any(self.chosen.values()))

    @property
    def filters(self) -> list[tuple[str, dict[str, Any]]]:
        """What may be filtered by, with the values that there are (`options`) and the one of the URL."""
        return [
            (name, {"options": values, "chosen": self.chosen[name]})
            for name, values in self.choices.items()
            if values or self.chosen[name]
        ]

    @property
    def sections(self) -> Iterator[Section]:
        """The page's rules under their headings."""
        if self.by == "group":
            for group, rules in groupby(self.page.rows, key=lambda rule: rule.group):
                yield Section(group.name, [*rules], group)
        else:
            for value, rules in groupby(self.page.rows, key=lambda rule: getattr(rule, f"{self.by}_shown")):
                yield Section(value or GROUPINGS[self.by], [*rules])


def rule_page(workspaces: Collection[str] | None, params: QueryDict) -> RulePage:
    """The page that the URL asks for (`text`, `folder`, `team`, `owner`, `by`, `page`) of the rules that a reader of
    these workspaces may see, each with `firing_count`, `pending_count` and `last_fired_at`."""
    visible = filed(Rule.objects.filter(owned(workspaces)))
    by = params.get("by", "group") if params.get("by") in GROUPINGS else "group"
    chosen = {name: params.get(name, "")[:200].replace("\x00", "") for name in GROUPINGS if name != "group"}
    found, text = visible, searched(params).replace("\x00", "")
    for name, value in chosen.items():
        if value:
            found = found.filter(**{f"{name}_shown": value})
    if text:
        found = found.filter(
            Q(name__icontains=text)
            | Q(title__icontains=text)
            | Q(group__name__icontains=text)
            | Q(expr__icontains=text)
        )
    first = [] if by == "group" else [f"{by}_shown"]
    ordered = found.select_related("group", "runbook", "workspace").order_by(*first, "group__name", "position", "id")
    total = visible.count()
    matching = found.count() if text or any(chosen.values()) else total
    rows = listed(params, total, matching, lambda start, end: with_alerts(list(ordered[start:end])))
    return RulePage(rows, by, chosen, {name: _values(visible, name) for name in chosen})


def filed(rules: QuerySet[Rule]) -> QuerySet[Rule]:
    """Rules with `folder_shown`, `team_shown` and `owner_shown`: a rule's own, else its label of that name."""
    shown = {
        f"{name}_shown": Coalesce(
            NullIf(F(name), Value("")), KeyTextTransform(name, "labels"), Value(""), output_field=TextField()
        )
        for name in ("team", "owner")
    }
    return rules.annotate(folder_shown=F("folder"), **shown)


def with_alerts(rules: list[Rule]) -> list[Rule]:
    """The rules with how many of their alerts are open, and when the last one fired."""
    ids = [rule.pk for rule in rules]
    opened = Alert.objects.filter(rule__in=ids, state__in=(State.FIRING, State.PENDING)).order_by()
    counts = {(row["rule"], row["state"]): row["n"] for row in opened.values("rule", "state").annotate(n=Count("id"))}
    newest = Alert.objects.filter(rule=OuterRef("pk"), fired_at__isnull=False).order_by("-fired_at")
    last: dict[int, dt.datetime | None] = dict(
        Rule.objects.filter(pk__in=ids).order_by().values_list("pk", Subquery(newest.values("fired_at")[:1]))
    )
    for rule in rules:
        rule.firing_count = counts.get((rule.pk, State.FIRING), 0)
        rule.pending_count = counts.get((rule.pk, State.PENDING), 0)
        rule.last_fired_at = last.get(rule.pk)
    return rules


def empty_groups() -> list[RuleGroup]:
    """Groups without rules, the first of them."""
    return list(RuleGroup.objects.filter(rules=None).order_by("name")[:MAX_EMPTY])


def _values(rules: QuerySet[Rule], name: str) -> list[str]:
    """What rules have of a kind, the first of it."""
    found = rules.exclude(**{f"{name}_shown": ""}).order_by(f"{name}_shown")
    return list(found.values_list(f"{name}_shown", flat=True).distinct()[:MAX_CHOICES])
