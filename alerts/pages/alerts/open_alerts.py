"""What is open, as lists show it: alerts one by one while a rule has few, and the many of one rule as one row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict

from alerts.models import OPEN_STATES, Alert, Rule, State
from alerts.queries import BY_SEVERITY, FIRES_AT, LIVE, seen_by
from core.ui.listing import Listing, listed, searched

ALIKE = 5  # open alerts of a rule that are listed one by one
MAX_ROWS = 50  # rows of the page, and rules with many alerts that come before them
NAMELESS = ("alertname", "severity")


@dataclass(frozen=True)
class Fold:
    """The open alerts of a rule that has many: those labels that all have, and how many values the others have."""

    rule: Rule
    firing: int
    pending: int
    common: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.firing + self.pending


@dataclass(frozen=True)
class OpenAlerts:
    """Rules with many open alerts, then single alerts; `left_out` are those beyond the bounds, `more_rules` the rules
    with many among these."""

    folds: list[Fold]
    firing: list[Alert]
    pending: list[Alert]
    left_out: int
    more_rules: int = 0


def open_alerts(workspaces: Collection[str] | None) -> OpenAlerts:
    """The open alerts that a reader of these workspaces (None: all) may see, worst and longest first."""
    opened = Alert.objects.filter(seen_by(workspaces), LIVE, state__in=OPEN_STATES)
    counted: dict[int, dict[str, int]] = {}
    for rule_id, state, count in opened.order_by().values_list("rule_id", "state").annotate(n=Count("id")):
        counted.setdefault(rule_id, {})[state] = count
    many = {rule_id: states for rule_id, states in counted.items() if sum(states.values()) > ALIKE}
    names = dict(Rule.objects.filter(pk__in=many).order_by().values_list("pk", "name"))
    worst = sorted(many, key=lambda one: (State.FIRING not in many[one], -sum(many[one].values()), names.get(one, "")))
    shown = worst[:MAX_ROWS]
    rules = Rule.objects.in_bulk(shown)
    labels = _labels(sorted(shown), workspaces)
    folds = [
        Fold(rules[rule_id], states.get(State.FIRING, 0), states.get(State.PENDING, 0), *labels.get(rule_id, ({}, {})))
        for rule_id, states in ((one, many[one]) for one in shown if one in rules)
    ]
    single = opened.exclude(rule__in=many).select_related("rule__group", "acknowledged_by")
    firing = list(single.filter(state=State.FIRING).order_by(BY_SEVERITY, "fired_at", "id")[:MAX_ROWS])
    pending = list(single.filter(state=State.PENDING).order_by(FIRES_AT, "id")[: MAX_ROWS - len(firing)])
    count = sum(sum(states.values()) for states in counted.values())
    left_out = count - len(firing) - len(pending) - sum(fold.count for fold in folds)
    return OpenAlerts(folds, firing, pending, left_out, len(many) - len(folds))


def _labels(rules: list[int], workspaces: Collection[str] | None) -> dict[int, tuple[dict[str, str], dict[str, int]]]:
    """Of each rule's open alerts the labels that all have, and the number of values of the others."""
    if not rules:
        return {}
    rows, params = (
        Alert.objects.filter(seen_by(workspaces), state__in=OPEN_STATES, rule__in=rules)
        .order_by()
        .values("rule_id", "labels")
        .query.sql_with_params()
    )
    query = (
        "SELECT rule_id, key, count(DISTINCT value), min(value), count(*) = max(among) FROM (SELECT r.*, count(*) OVER"  # noqa: S608 - Django's own text; values are parameters
        f" (PARTITION BY rule_id) AS among FROM ({rows}) AS r) AS a, jsonb_each_text(labels)"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found: dict[int, tuple[dict[str, str], dict[str, int]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        for rule_id, name, values, value, everywhere in cursor.fetchall():
            common, differing = found.setdefault(rule_id, ({}, {}))
            if name in NAMELESS:
                continue
            if values == 1 and everywhere:
                common[name] = value
            else:
                differing[name] = values
    return found


def of_rule(rule: Rule, workspaces: Collection[str] | None, params: QueryDict) -> Listing[Alert]:
    """A page of a rule's open alerts, those that fire first; the URL's text is looked for in their labels."""
    opened: QuerySet[Alert] = Alert.objects.filter(seen_by(workspaces), rule=rule, state__in=OPEN_STATES)
    text = searched(params)
    total = opened.count()
    if text:
        opened = opened.annotate(text=Cast("labels", TextField())).filter(Q(text__icontains=text))
    ordered = opened.order_by("state", "active_at", "id").select_related("rule", "acknowledged_by")
    matching = opened.count() if text else total
    return listed(params, total, matching, lambda start, end: list(ordered[start:end]))
