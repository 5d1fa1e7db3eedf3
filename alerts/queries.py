"""Everything that pages and the API read about rules, alerts, channels and runbooks. Row counts never change the number
of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Case, Count, Exists, F, Max, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from alerts.evaluation.schedule import is_stalled
from alerts.evaluation.state_machine import FLAP_MS
from alerts.models import (
    OPEN_STATES,
    Alert,
    Channel,
    Delivery,
    DeliveryAttempt,
    Flip,
    Rule,
    RuleChange,
    RuleGroup,
    Runbook,
    RunbookVersion,
    Severity,
    State,
)
from alerts.rules.expression import Comparison, ExpressionError, expand, split
from alerts.rules.models import SEVERITY_ORDER
from core.accounts.ownership import owned, sees_every_workspace

PAGE = 50
LIVE = Q(rule__shadow=False)  # alerts that somebody may be notified of
FLAPS, FLAPPING_SHOWN = 4, 5
SHOWN_OF_RULE = 20
BY_SEVERITY = Case(*(When(severity=name, then=place) for name, place in SEVERITY_ORDER.items()), default=3)
FIRES_AT = F("active_at") + F("for_seconds") * Value(dt.timedelta(seconds=1))


@dataclass(frozen=True)
class Counts:
    """Open alerts: firing by severity, and pending."""

    critical: int
    warning: int
    info: int
    pending: int

    @property
    def firing(self) -> int:
        return self.critical + self.warning + self.info


@dataclass(frozen=True, kw_only=True)
class HistoryFilter:
    """Which alerts of the past; what is None or empty does not filter. `label` is `name=value`, `text` is looked for in
    summaries and names."""

    rule_id: int | None = None
    severity: str = ""
    state: str = ""
    label: str = ""
    text: str = ""
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    workspaces: frozenset[str] | None = None


@dataclass(frozen=True)
class AlertPage:
    """A page of the history, newest first. Numbers count from 1."""

    alerts: list[Alert]
    number: int
    has_next: bool

    @property
    def has_previous(self) -> bool:
        return self.number > 1


@dataclass(frozen=True)
class AlertDetail:
    """An alert with all that happened to it, oldest first. Deliveries carry `flip` and `tries` (their attempts)."""

    alert: Alert
    flips: list[Flip]
    deliveries: list[Delivery]


@dataclass(frozen=True)
class Flapping:
    """A label set of a rule that began to fire more often within an hour than is ordinary."""

    labels: dict[str, str]
    firings: int


@dataclass(frozen=True)
class RuleDetail:
    """A rule with its expanded expression, its condition split for a chart (None without a comparison), some of its
    alerts, how many are open, its edits and what flaps."""

    rule: Rule
    expr: str
    comparison: Comparison | None
    open_alerts: list[Alert]
    open_count: int
    past_alerts: list[Alert]
    changes: list[RuleChange]
    channels: list[Channel]
    flapping: list[Flapping]


@dataclass(frozen=True)
class RunbookDetail:
    """A runbook with one of its versions (the newest unless asked otherwise) and the list of all."""

    runbook: Runbook
    version: RunbookVersion
    versions: list[RunbookVersion]
    rules: list[Rule]


def seen_by(workspaces: Collection[str] | None) -> Q:
    """The alerts that a reader of these workspaces (None: all) may see: those that name one of them.

    One that names none is about the whole portal: it is seen by who sees every workspace.
    """
    if workspaces is None:
        return Q()
    of_portal = Q(labels__workspace__isnull=True) & sees_every_workspace(workspaces)
    return Q(labels__workspace__in=sorted(workspaces)) | of_portal


def _alerts(workspaces: Collection[str] | None = None) -> QuerySet[Alert]:
    return Alert.objects.filter(seen_by(workspaces)).select_related("rule__group", "rule__runbook", "acknowledged_by")


def firing(workspaces: Collection[str] | None = None, most: int | None = None) -> list[Alert]:
    """Alerts that fire, worst and longest first; at `most` so many."""
    alerts = _alerts(workspaces).filter(LIVE, state=State.FIRING).order_by(BY_SEVERITY, "fired_at", "id")
    return list(alerts[:most])


def pending(workspaces: Collection[str] | None = None, most: int | None = None) -> list[Alert]:
    """Alerts whose condition holds, but not long enough yet; the one that fires next is first."""
    return list(_alerts(workspaces).filter(LIVE, state=State.PENDING).order_by(FIRES_AT, "id")[:most])


def counts(workspaces: Collection[str] | None = None) -> Counts:
    """How many alerts are open."""
    rows = (
        Alert.objects.filter(seen_by(workspaces), LIVE, state__in=OPEN_STATES)
        .values_list("state", "severity")
        .annotate(n=Count("id"))
    )
    found = {(state, severity): n for state, severity, n in rows.order_by()}
    return Counts(
        critical=found.get((State.FIRING, Severity.CRITICAL), 0),
        warning=found.get((State.FIRING, Severity.WARNING), 0),
        info=found.get((State.FIRING, Severity.INFO), 0),
        pending=sum(n for (state, _), n in found.items() if state == State.PENDING),
    )


def history(wanted: HistoryFilter, page: int = 1) -> AlertPage:
    """Alerts that fired, also those that still do."""
    alerts = _alerts(wanted.workspaces).filter(fired_at__isnull=False).order_by("-fired_at", "-id")
    alerts = alerts.filter(LIVE) if wanted.rule_id is None else alerts.filter(rule_id=wanted.rule_id)
    if wanted.severity:
        alerts = alerts.filter(severity=wanted.severity)
    if wanted.state:
        alerts = alerts.filter(state=wanted.state)
    if wanted.label:
        name, _, value = wanted.label.partition("=")
        alerts = alerts.filter(labels__contains={name.strip(): value.strip()})
    if wanted.text:
        alerts = alerts.filter(
            Q(rule__name__icontains=wanted.text)
            | Q(rule__title__icontains=wanted.text)
            | Q(annotations__summary__icontains=wanted.text)
        )
    if wanted.since is not None:
        alerts = alerts.filter(Q(ended_at=None) | Q(ended_at__gte=wanted.since))
    if wanted.until is not None:
        alerts = alerts.filter(fired_at__lte=wanted.until)
    number = max(page, 1)
    rows = list(alerts[(number - 1) * PAGE : number * PAGE + 1])
    return AlertPage(rows[:PAGE], number, len(rows) > PAGE)


def fired_between(start: dt.datetime, end: dt.datetime, workspaces: Collection[str] | None) -> list[Alert]:
    """The alerts that fired at some time from `start` to `end`, the newest first."""
    found = _alerts(workspaces).filter(LIVE, Q(ended_at=None) | Q(ended_at__gte=start), fired_at__lte=end)
    return list(found.order_by("-fired_at", "-id")[:PAGE])


def edits_between(start: dt.datetime, end: dt.datetime, workspaces: Collection[str] | None = None) -> list[RuleChange]:
    """The edits of rules from `start` to `end`, the newest first, of rules that a reader of these workspaces may
    see."""
    changes = RuleChange.objects.filter(owned(workspaces, "rule__workspace"), version__gt=1, at__range=(start, end))
    return list(changes.select_related("rule").order_by("-at")[:PAGE])


def alert_detail(alert_id: int, workspaces: Collection[str] | None = None) -> AlertDetail:
    """Raises Alert.DoesNotExist, also for one that a reader of these workspaces may not see."""
    alert = _alerts(workspaces).get(pk=alert_id)
    deliveries = (
        Delivery.objects.filter(tells_of([alert.pk]), owned(workspaces, "channel__workspace"))
        .select_related("flip", "channel")
        .prefetch_related(Prefetch("tries", DeliveryAttempt.objects.order_by("number")))
    )
    return AlertDetail(
        alert,
        list(alert.flips.all()),
        list(deliveries.order_by("id")),
    )


def rule_list(workspaces: Collection[str] | None = None) -> list[Rule]:
    """The rules that a reader of these workspaces may see, in the order of their groups."""
    rules = Rule.objects.filter(owned(workspaces)).select_related("group", "runbook", "workspace")
    return list(rules.prefetch_related("channels").order_by("group__name", "position", "id"))


def rule_detail(rule_id: int, workspaces: Collection[str] | None = None, *, now: dt.datetime) -> RuleDetail:
    """Raises Rule.DoesNotExist, also for one of another workspace. The alerts are those that a reader of these
    workspaces may see."""
    rules = Rule.objects.filter(owned(workspaces)).select_related("group", "runbook", "workspace")
    rule = rules.prefetch_related("channels").get(pk=rule_id)
    try:
        expr = expand(rule.expr, rule.threshold)
        comparison = split(expr)
    except (ExpressionError, ValueError):
        expr, comparison = rule.expr, None
    alerts = _alerts(workspaces).filter(rule=rule)
    opened = alerts.filter(state__in=OPEN_STATES)
    return RuleDetail(
        rule,
        expr,
        comparison,
        list(opened.order_by("state", "active_at", "id")[:SHOWN_OF_RULE]),
        opened.count(),
        list(
            alerts.filter(fired_at__isnull=False).exclude(state__in=OPEN_STATES).order_by("-fired_at")[:SHOWN_OF_RULE]
        ),
        list(rule.changes.select_related("author")[:50]),
        recipients(rule, list(Channel.objects.all())),
        flapping(rule, alerts, now),
    )


def flapping(rule: Rule, alerts: QuerySet[Alert], now: dt.datetime) -> list[Flapping]:
    """Which label sets of the rule's alerts began to fire more often within the last hour than its limit, or FLAPS,
    the worst first."""
    recent = alerts.filter(fired_at__gt=now - dt.timedelta(milliseconds=FLAP_MS)).order_by()
    counted = recent.values("fingerprint", "labels").annotate(firings=Count("id"))
    worst = counted.filter(firings__gt=rule.flap_limit or FLAPS).order_by("-firings", "fingerprint")[:FLAPPING_SHOWN]
    return [Flapping(Alert(rule=rule, labels=row["labels"]).shown_labels, row["firings"]) for row in worst]


def recipients(rule: Rule, channels: list[Channel], severity: str = "", names: Collection[str] = ()) -> list[Channel]:
    """Which of the channels a rule's messages go to now: those chosen, else all of its owner's, of its kinds, that take
    the severity. `severity` and `names` are those of a threshold of its own; names of channels that are gone count for
    nothing."""
    usable = [one for one in channels if one.name in names and one.workspace_id in (None, rule.workspace_id)]
    chosen = {channel.pk for channel in usable or rule.channels.all()}
    if chosen:
        return [channel for channel in channels if channel.pk in chosen and channel.enabled]
    return [
        channel
        for channel in channels
        if channel.enabled
        and channel.workspace_id == rule.workspace_id
        and channel.takes(severity or rule.severity)
        and (not rule.channel_kinds or channel.kind in rule.channel_kinds)
    ]


def channel_list(workspaces: Collection[str] | None = None) -> list[Channel]:
    """The channels that a reader of these workspaces may see, each with `last_state` and `last_delivery_at` of its
    newest delivery, and `last_ok` and `last_error` of its newest try."""
    newest = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-id")
    attempt = DeliveryAttempt.objects.filter(delivery__channel=OuterRef("pk")).order_by("-id")
    return list(
        Channel.objects.filter(owned(workspaces))
        .select_related("workspace")
        .annotate(
            last_state=Subquery(newest.values("state")[:1]),
            last_delivery_at=Subquery(newest.values("created_at")[:1]),
            last_error=Subquery(attempt.values("error")[:1]),
            last_ok=Subquery(attempt.values("ok")[:1]),
        )
        .order_by("name", "id")
    )


def runbook_list(workspaces: Collection[str] | None = None) -> list[Runbook]:
    """The runbooks that a reader of these workspaces may see, each with `updated_at` and its `rules` that they may
    see."""
    newest = RunbookVersion.objects.filter(runbook=OuterRef("pk")).order_by("-number")
    rules = Prefetch("rules", Rule.objects.filter(owned(workspaces)))
    found = Runbook.objects.filter(owned(workspaces)).select_related("workspace")
    return list(found.annotate(updated_at=Subquery(newest.values("at")[:1])).prefetch_related(rules))


def runbook_detail(slug: str, number: int | None = None, workspaces: Collection[str] | None = None) -> RunbookDetail:
    """Raises Runbook.DoesNotExist or RunbookVersion.DoesNotExist."""
    runbook = Runbook.objects.filter(owned(workspaces)).select_related("workspace").get(slug=slug)
    versions = list(runbook.versions.select_related("author"))
    wanted = [version for version in versions if number is None or version.number == number]
    if not wanted:
        raise RunbookVersion.DoesNotExist
    return RunbookDetail(runbook, wanted[0], versions, list(runbook.rules.filter(owned(workspaces))))


def tells_of(alert_ids: Collection[int]) -> Q:
    """The deliveries whose message tells of any of the alerts."""
    wanted = sorted(alert_ids)
    return Q(firing__overlap=wanted) | Q(resolved__overlap=wanted)


def notified(alerts: Iterable[Alert]) -> dict[int, list[str]]:
    """The channels that heard that each of the alerts fires, by its id."""
    found: dict[int, list[str]] = {}
    wanted = {alert.pk for alert in alerts}
    sent = Delivery.objects.filter(state=Delivery.State.SENT, firing__overlap=sorted(wanted))
    for firing, name in sent.order_by("id").values_list("firing", "channel_name"):
        for alert_id in wanted.intersection(firing):
            if name not in found.setdefault(alert_id, []):
                found[alert_id].append(name)
    return found


def deliveries_of(channel: Channel, state: str, workspaces: Collection[str] | None) -> QuerySet[Delivery]:
    """A channel's deliveries, newest first, of the alerts that a reader of these workspaces may see; `state` empty:
    all."""
    visible = Alert.objects.filter(seen_by(workspaces))
    found = Delivery.objects.filter(channel=channel, alert__in=visible)
    return (
        (found.filter(state=state) if state else found)
        .select_related("flip", "alert__rule")
        .prefetch_related(Prefetch("tries", DeliveryAttempt.objects.order_by("number")))
        .order_by("-id")
    )


def uses_of(channel: Channel) -> dict[str, int]:
    """How many rules chose the channel, and how many deliveries still wait for it."""
    waiting = Delivery.objects.filter(channel=channel, state__in=["pending", "sending"])
    return {"rules": channel.rules.count(), "waiting": waiting.count()}


@dataclass(frozen=True)
class StalledGroup:
    """A group whose rules are not evaluated; `since` is its last evaluated slot, or when it was made."""

    name: str
    since: dt.datetime


def stalled_groups(now: dt.datetime) -> list[StalledGroup]:
    """The groups with a rule in use that have missed several slots in a row, the longest first."""
    in_use = RuleGroup.objects.filter(Exists(Rule.objects.filter(group=OuterRef("pk"), enabled=True)))
    rows = in_use.annotate(since=Coalesce("evaluated_until", "created_at")).order_by("since", "name")
    return [
        StalledGroup(name, since)
        for name, interval, since in rows.values_list("name", "interval_seconds", "since")
        if is_stalled(interval, since, now)
    ]


def last_evaluation() -> dt.datetime | None:
    """When any group was evaluated last; None before the first time."""
    last: dt.datetime | None = RuleGroup.objects.aggregate(last=Max("last_evaluated_at"))["last"]
    return last
