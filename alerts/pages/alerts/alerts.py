"""Pages of alerts: what fires, who was notified, and what is behind it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from alerts import queries
from alerts.evidence import chart, failing, origins, traces
from alerts.evidence.changes import changes_around
from alerts.evidence.earlier import earlier_alerts
from alerts.models import Alert, Rule
from alerts.notify import acknowledge
from alerts.pages.alerts import open_alerts
from alerts.pages.alerts.timeline import timeline
from alerts.pages.forms import HistoryForm
from alerts.rules.expression import ExpressionError
from alerts.rules.models import gravity
from alerts.runbooks import html
from core.accounts import permissions
from core.accounts.ownership import owned
from core.heavy import heavy
from core.ui import time_range as ranges
from promql import PromQLError

MEANWHILE = 5


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Firing first, then pending, then the history of the range."""
    scope, time_range = permissions.scope_of(request.user, request.GET), ranges.parse(request.GET, timezone.now())
    if request.GET.get("part") == "open":
        return render(request, "alerts/_open.html", open_context(request, scope))
    form = HistoryForm(request.GET, workspaces=permissions.scope_of(request.user, {}).slugs)
    wanted = form.wanted(
        since=dt.datetime.fromtimestamp(time_range.start_ms / 1000, dt.UTC),
        until=None if time_range.name else dt.datetime.fromtimestamp(time_range.end_ms / 1000, dt.UTC),
        workspaces=scope.slugs,
    )
    history = queries.history(wanted, form.page)
    context = {
        **open_context(request, scope),
        "scope": scope,
        "time_range": time_range,
        "form": form,
        "history": history,
        "notified_history": queries.notified(history.alerts),
    }
    return render(request, "alerts/alerts.html", context)


@login_required
@require_GET
def meanwhile(request: HttpRequest) -> HttpResponse:
    """The alerts that fired during a time, as a part of other pages; those of what is `about` first, none that names
    another workspace than the URL does."""
    scope, time_range = permissions.scope_of(request.user, request.GET), ranges.parse(request.GET, timezone.now())
    start, end = (dt.datetime.fromtimestamp(one / 1000, dt.UTC) for one in (time_range.start_ms, time_range.end_ms))
    fired = queries.fired_between(start, end, permissions.scope_of(request.user, {}).slugs)
    found = [one for one in fired if not scope.chosen or one.labels.get("workspace", scope.chosen) == scope.chosen]
    about = set(request.GET.getlist("about"))
    found.sort(key=lambda one: (about.isdisjoint(one.labels.values()), gravity(one.severity)))
    context = {"alerts": found[:MEANWHILE], "more": len(found[MEANWHILE:])}
    return render(request, "alerts/_meanwhile.html", context)


def open_context(request: HttpRequest, scope: permissions.Scope) -> dict[str, Any]:
    """What the upper part of the page shows."""
    found = open_alerts.open_alerts(scope.slugs)
    return {
        "open": found,
        "counts": queries.counts(scope.slugs),
        "notified": queries.notified(found.firing),
        "may_operate": permissions.may_operate(request.user),
        "last_evaluation": queries.last_evaluation(),
        "stalled": queries.stalled_groups(timezone.now()),
    }


@login_required
@require_GET
def of_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """The open alerts of one rule, page by page."""
    scope = permissions.scope_of(request.user, {})
    rule = get_object_or_404(Rule.objects.filter(owned(scope.slugs)), pk=rule_id)
    context = {"rule": rule, "alerts": open_alerts.of_rule(rule, scope.slugs, request.GET)}
    return render(request, "alerts/rule_alerts.html", context)


def find(request: HttpRequest, alert_id: int) -> queries.AlertDetail:
    """The alert. Raises Http404, also for one of another workspace."""
    try:
        return queries.alert_detail(alert_id, permissions.scope_of(request.user, {}).slugs)
    except Alert.DoesNotExist:
        raise Http404("No such alert.") from None


@login_required
@require_GET
def detail(request: HttpRequest, alert_id: int) -> HttpResponse:
    """One alert: what it is, where it comes from, what to do."""
    found, now = find(request, alert_id), timezone.now()
    alert = found.alert
    slugs = permissions.scope_of(request.user, {}).slugs
    runbook = queries.runbook_detail(alert.rule.runbook.slug) if alert.rule.runbook else None
    context = {
        "alert": alert,
        "events": timeline(found, changes_around(alert, slugs, now)),
        "notified": queries.notified([alert]).get(alert.pk, []),
        "origins": origins.origins(alert, slugs, now),
        "runbook": runbook,
        "runbook_html": html.render(runbook.version.text) if runbook else "",
        "may_operate": permissions.may_operate(request.user),
    }
    if request.GET.get("part") == "state":
        return render(request, "alerts/_alert_state.html", context)
    if request.GET.get("part") == "events":
        return render(request, "alerts/_alert_events.html", context)
    context |= {
        "earlier": earlier_alerts(alert, slugs),
        "failing": failing.failing(alert, slugs, now),
        "records": failing.example_records(alert, slugs, now),
        "refusals": failing.refusals(alert, slugs, now),
    }
    context["behind"] = traces.behind(alert, slugs, now)
    return render(request, "alerts/alert.html", context)


@heavy
@login_required
@require_GET
def figure(request: HttpRequest, alert_id: int) -> HttpResponse:
    """The chart of an alert, as JSON for charts.js."""
    found, now = find(request, alert_id), timezone.now()
    slugs = permissions.scope_of(request.user, {}).slugs
    try:
        drawn = chart.figure(found, changes_around(found.alert, slugs, now), slugs, now)
    except (PromQLError, ExpressionError) as error:
        return JsonResponse({"error": str(error)}, status=422)
    return JsonResponse(drawn)


def require_operator(request: HttpRequest, alert: Alert) -> None:
    """Raises PermissionDenied where the person may not acknowledge it."""
    if not acknowledge.may_acknowledge(request.user, alert):
        raise PermissionDenied("This needs an operator of the alert's workspace.")


@permissions.operator_required
@require_POST
def take(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Acknowledge the alert."""
    alert = find(request, alert_id).alert
    require_operator(request, alert)
    if not acknowledge.acknowledge(alert, by=permissions.person_of(request), now=timezone.now()):
        messages.warning(request, "It was taken by somebody else, or it is over.")
    return back(request, alert)


@permissions.operator_required
@require_POST
def give_back(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Undo an acknowledgement."""
    alert = find(request, alert_id).alert
    require_operator(request, alert)
    acknowledge.unacknowledge(alert)
    return back(request, alert)


def back(request: HttpRequest, alert: Alert) -> HttpResponse:
    """The list in place for htmx on it, else the page that asked, else the alert."""
    if request.headers.get("HX-Target") == "open-alerts":
        return render(request, "alerts/_open.html", open_context(request, permissions.scope_of(request.user, {})))
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target) if target and safe else redirect("alert", alert.pk)
