"""A shadow rule beside a live one: what each of them raised in the last days."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from alerts.models import Alert, Rule
from alerts.queries import seen_by
from core.accounts import permissions
from core.accounts.ownership import owned

DAYS = 7
MAX_ALERTS = 2000
SHOWN = 50
# By these labels the alerts of two rules differ, whatever they are about.
OWN_LABELS = ("alertname", "severity")


@dataclass
class Side:
    """One of the two rules with its alerts that fired, the newest first; `only` are those to which the other has
    none."""

    rule: Rule
    alerts: list[Alert]
    only: list[Alert] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def shown(self) -> list[Alert]:
        """The newest of those that only it raised."""
        return self.only[:SHOWN]


def compared(one: Rule, other: Rule, workspaces: Any, now: dt.datetime) -> tuple[Side, Side]:
    """Both rules over the last DAYS: alerts of the same label set that fired at the same time are the same."""
    since = now - dt.timedelta(days=DAYS)
    sides = tuple(Side(rule, _alerts(rule, workspaces, since)) for rule in (one, other))
    for side, against in zip(sides, reversed(sides), strict=True):
        theirs: dict[frozenset[tuple[str, str]], list[Alert]] = {}
        for alert in against.alerts:
            theirs.setdefault(_about(alert), []).append(alert)
        side.only = [alert for alert in side.alerts if not _any_overlaps(alert, theirs.get(_about(alert), []), now)]
        side.seconds = sum((_end(a, now) - max(_start(a), since)).total_seconds() for a in side.alerts)
    return sides[0], sides[1]


def _alerts(rule: Rule, workspaces: Any, since: dt.datetime) -> list[Alert]:
    fired = Alert.objects.filter(seen_by(workspaces), Q(ended_at=None) | Q(ended_at__gt=since), rule=rule)
    return list(fired.filter(fired_at__isnull=False).select_related("rule").order_by("-fired_at", "-id")[:MAX_ALERTS])


def _about(alert: Alert) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in alert.labels.items() if pair[0] not in OWN_LABELS)


def _any_overlaps(alert: Alert, others: list[Alert], now: dt.datetime) -> bool:
    return any(_start(one) < _end(alert, now) and _start(alert) < _end(one, now) for one in others)


def _start(alert: Alert) -> dt.datetime:
    return alert.fired_at or alert.active_at


def _end(alert: Alert, now: dt.datetime) -> dt.datetime:
    return alert.ended_at or now


def counterpart(rule: Rule, others: list[Rule]) -> Rule | None:
    """The live rule that a shadow is of unless one says otherwise: the one whose name its own begins with."""
    named = [one for one in others if rule.name.startswith(one.name)]
    return max(named, key=lambda one: len(one.name), default=None)


@login_required
@require_GET
def page(request: HttpRequest, rule_id: int) -> HttpResponse:
    """The rule beside another of its owner; `with` in the URL chooses that."""
    slugs = permissions.scope_of(request.user, {}).slugs
    rules = Rule.objects.filter(owned(slugs), external=False, record="")
    rule = get_object_or_404(rules, pk=rule_id)
    others = list(rules.filter(workspace=rule.workspace_id, shadow=False).exclude(pk=rule.pk).order_by("name"))
    chosen = request.GET.get("with", "")
    other = next((one for one in others if str(one.pk) == chosen), None) or counterpart(rule, others)
    sides = compared(rule, other, slugs, timezone.now()) if other is not None else None
    context = {"rule": rule, "others": others, "other": other, "sides": sides, "days": DAYS}
    return render(request, "alerts/rule_compare.html", context)
