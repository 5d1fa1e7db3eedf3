"""What rules cost people: how often each fired, how long, who reacted and how fast, how many alerts were acted on; and
which change of a rule would cost less, by its backtest."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, field, replace

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.states import holding_of
from alerts.incidents.models import IncidentEvent, Member
from alerts.incidents.policy import Policy
from alerts.incidents.routing.simulation import past_alerts, simulate
from alerts.models import Alert, Delivery, Rule
from alerts.queries import seen_by
from alerts.routing.tree import Route
from alerts.trial.backtest import Backtest, backtest, step_of
from alerts.trial.suggestion import suggested_threshold

SPAN = dt.timedelta(days=30)
TESTED = dt.timedelta(days=7)
MAX_ROWS, MAX_PAIRS = 200, 50_000
LONGEST_FOR = dt.timedelta(hours=1)
Kind = IncidentEvent.Kind
# What people do when an alert is worth it. Snoozing is the opposite.
ACTS = (Kind.ACKNOWLEDGED, Kind.COMMENT, Kind.MERGED, Kind.OWNED, Kind.RAISED, Kind.RESOLVED, Kind.TICKED)


@dataclass
class RuleCost:
    """What a rule cost in SPAN. `reaction` is the median time from an incident's start to the first that somebody did,
    in seconds; None where nobody did anything."""

    rule: Rule
    alerts: int
    seconds: float
    messages: int = 0
    incidents: int = 0
    acted: int = 0
    reaction: float | None = None
    people: list[str] = field(default_factory=list)

    @property
    def for_nothing(self) -> float:
        """Messages of which nothing came: the share of its incidents that nobody acted on."""
        return self.messages * (1 - self.acted / self.incidents) if self.incidents else float(self.messages)

    @property
    def acted_percent(self) -> int | None:
        """Of its incidents, those that somebody acted on."""
        return round(100 * self.acted / self.incidents) if self.incidents else None


@dataclass(frozen=True)
class Proposal:
    """A change of a rule with what the last week would have been: alerts (or messages), and so under the change."""

    what: str
    change: str
    before: int
    after: int


def rule_costs(workspaces: Collection[str] | None, now: dt.datetime) -> list[RuleCost]:
    """The rules that fired in SPAN, as far as a reader of these workspaces (None: all) sees their alerts: those that
    interrupted most for nothing first."""
    visible = Alert.objects.filter(seen_by(workspaces), fired_at__gt=now - SPAN, rule__external=False)
    lasted = ExpressionWrapper(Coalesce("ended_at", Value(now)) - F("fired_at"), output_field=DurationField())
    fired = visible.order_by().values("rule").annotate(alerts=Count("id"), lasted=Sum(lasted))
    rules = Rule.objects.select_related("group", "workspace").in_bulk([row["rule"] for row in fired])
    costs = {
        row["rule"]: RuleCost(rules[row["rule"]], row["alerts"], row["lasted"].total_seconds())
        for row in fired
        if row["rule"] in rules
    }
    sent = Delivery.objects.filter(alert__in=visible, state=Delivery.State.SENT, created_at__gt=now - SPAN).order_by()
    for row in sent.values("alert__rule").annotate(messages=Count("id")):
        if row["alert__rule"] in costs:
            costs[row["alert__rule"]].messages = row["messages"]
    _add_reactions(costs, visible)
    return sorted(costs.values(), key=lambda one: (-one.for_nothing, -one.messages, -one.seconds))[:MAX_ROWS]


def _add_reactions(costs: dict[int, RuleCost], visible: QuerySet[Alert]) -> None:
    """Who did something about the rules' incidents, and how soon."""
    own = Member.objects.filter(alert__in=visible, merged_from=None)
    pairs = own.order_by().values_list("incident", "alert__rule").distinct()
    incidents: defaultdict[int, set[int]] = defaultdict(set)
    for incident, rule in pairs[:MAX_PAIRS]:
        incidents[rule].add(incident)
    every = {one for found in incidents.values() for one in found}
    acts = IncidentEvent.objects.filter(incident__in=every, kind__in=ACTS).order_by()
    first = dict(
        acts.values("incident").annotate(first=Min(F("at") - F("incident__opened_at"))).values_list("incident", "first")
    )
    names: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for incident, name, count in acts.values_list("incident", "author_name").annotate(count=Count("id")):
        names[incident][name] += count
    for rule, found in incidents.items():
        if rule not in costs:
            continue
        cost, waits = costs[rule], [first[one].total_seconds() for one in found if one in first]
        cost.incidents, cost.acted = len(found), len(waits)
        cost.reaction = statistics.median(waits) if waits else None
        people = sum((names[one] for one in found), Counter[str]())
        cost.people = sorted(people, key=lambda name: (-people[name], name))[:3]


def proposals(
    rule: Rule, source: promql.Source, policy: Policy, workspaces: Collection[str] | None, now: dt.datetime
) -> list[Proposal]:
    """Changes of the rule that would have cost less in the last week: its threshold, its `for`, and its group. Raises
    ExpressionError or promql.PromQLError."""
    end = milliseconds(now)
    span = (end - int(TESTED.total_seconds() * 1000), end)
    step = step_of(span[1] - span[0], rule.group.interval_seconds)

    def tested(changed: Rule) -> Backtest:
        return backtest(changed, source, span_ms=span, step_ms=step)

    present, found = tested(rule), []
    before = len(present.episodes)
    better = suggested_threshold(present, holding_of(rule)) if rule.threshold is not None else None
    if better is not None and better != rule.threshold:
        changed = _changed(rule, threshold=better)
        found.append(Proposal("threshold", changed.threshold_text, before, len(tested(changed).episodes)))
    longer = _longer_for(present, rule)
    if longer > rule.for_seconds:
        changed = _changed(rule, for_seconds=longer)
        change = f"{round(longer / 60)} min instead of {round(rule.for_seconds / 60)} min"
        found.append(Proposal("for", change, before, len(tested(changed).episodes)))
    return [one for one in [*found, *_grouped(rule, policy, workspaces, now)] if one.after < one.before]


def _changed(rule: Rule, **fields: float) -> Rule:
    """The rule with other fields, not saved."""
    changed = copy(rule)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _longer_for(present: Backtest, rule: Rule) -> int:
    """A `for` that outlasts three quarters of the alerts, in whole minutes; an hour at most."""
    lengths = sorted(present.episodes.seconds.tolist())
    if len(lengths) < 2:
        return rule.for_seconds
    quarter = lengths[(3 * len(lengths) - 1) // 4]
    wanted = rule.for_seconds + quarter + rule.group.interval_seconds
    return int(min(LONGEST_FOR.total_seconds(), -(-wanted // 60) * 60))


def _grouped(rule: Rule, policy: Policy, workspaces: Collection[str] | None, now: dt.datetime) -> list[Proposal]:
    """Its messages, if all its alerts were one group."""
    if policy.configuration is None:
        return []
    alerts = [alert for alert in past_alerts(workspaces, now) if alert.rule_id == rule.pk]
    root = _by_name(policy.configuration.root)
    together = Policy(replace(policy.configuration, root=root), policy.channels)
    before, after = (simulate(one, alerts, now).total for one in (policy, together))
    return [Proposal("group", "one group per alertname", before, after)]


def _by_name(route: Route) -> Route:
    return replace(route, group_by=("alertname",), routes=tuple(map(_by_name, route.routes)))
