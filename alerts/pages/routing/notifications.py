"""The page of notifications: which way messages go, what is silenced, and whether channels work."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import queries as alert_queries
from alerts.incidents import silences
from alerts.incidents.policy import current_policy
from alerts.incidents.queries import delivery_counts, recent_label_sets, route_rows
from alerts.incidents.routing import edits, routing_preview
from alerts.incidents.routing.alertmanager_file import export_file
from alerts.incidents.routing.branches import remove_branch
from alerts.incidents.routing.simulation import compare
from alerts.oncall.queries import duties
from alerts.pages.routing.routing_forms import BranchForm, RoutingForm
from alerts.pages.routing.silences import silence_rows
from alerts.routing.configuration import ConfigurationError
from alerts.routing.matchers import MatcherError, parse_matchers
from core.accounts import permissions
from core.accounts.models import Workspace
from core.accounts.ownership import changer_of
from core.api.editions import Outdated, edition_of_text

DAY = dt.timedelta(days=1)
START = """\
route:
  receiver: default
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
receivers:
- name: default
"""
BRANCH = """\
route:
  receiver: default
  group_by: [alertname]
receivers:
- name: default
  portal_configs: []
"""


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The tree with a tester, silences, channels."""
    now, policy = timezone.now(), current_policy()
    text, problem = request.GET.get("labels", "")[:5000], ""
    try:
        labels = labels_of(text)
    except ValueError as error:
        labels, problem = {}, str(error)
    slugs, may_route = permissions.scope_of(request.user, {}).slugs, changer_of(request.user).portal
    context = {
        "text": text,
        "problem": problem,
        "asked": bool(labels),
        "rows": route_rows(policy, labels or None, slugs),
        "has_tree": policy.configuration is not None,
        "recent": recent_label_sets(slugs),
        "counts": delivery_counts(now - DAY, slugs),
        "silences": silence_rows(silences.silence_list(now), now, slugs),
        "duties": duties(slugs, now),
        "channels": alert_queries.channel_list(slugs),
        "may_operate": permissions.may_operate(request.user),
        "may_route": may_route,
        "branches": [] if may_route or policy.configuration is None else permissions.operated(request.user),
    }
    return render(request, "alerts/notifications.html", context)


def labels_of(text: str) -> dict[str, str]:
    """The labels of `alertname="X", model=y`. ValueError where it holds anything but equalities."""
    if not text.strip():
        return {}
    try:
        matchers = parse_matchers(text)
    except MatcherError as error:
        raise ValueError(str(error)) from None
    if any(matcher.op != "=" for matcher in matchers):
        raise ValueError("An alert has labels: write each as name=value.")
    return {matcher.name: matcher.value for matcher in matchers}


def to_change(request: HttpRequest) -> Workspace | None:
    """The workspace of the URL, whose branch is meant; None: the whole tree. Raises Http404, and PermissionDenied for
    who may not change it."""
    chosen = permissions.scope_of(request.user, request.GET).chosen
    workspace = Workspace.objects.get(slug=chosen) if chosen else None
    changer_of(request.user).require(workspace.pk if workspace else None)
    return workspace


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """The routing, or the branch of a workspace, as text; saving puts it in force."""
    workspace = to_change(request)
    text = routing_preview.text_in_force(workspace)
    edition = request.POST.get("edition", "")
    form = BranchForm if workspace else RoutingForm
    filled = form(request.POST or None, initial={"text": text or (BRANCH if workspace else START)})
    by, comparison = permissions.person_of(request), None
    if request.method == "POST" and "preview" in request.POST and filled.is_valid():
        try:
            planned = routing_preview.planned(filled.cleaned_data["text"], workspace, by, timezone.now())
        except ConfigurationError as error:
            filled.add_error("text", str(error))
        else:
            slugs = frozenset({workspace.slug}) if workspace else None
            comparison = compare(current_policy(), planned, slugs, timezone.now())
    elif request.method == "POST" and filled.is_valid():
        try:
            with routing_preview.editing(workspace, edition):
                left_out = routing_preview.apply(filled.cleaned_data["text"], workspace, by, timezone.now())
        except ConfigurationError as error:
            filled.add_error("text", str(error))
        except Outdated as outdated:
            filled.add_error(None, str(outdated))
            edition = ""
        else:
            for line in left_out:
                messages.warning(request, f"Left out: {line}")
            return redirect("notifications")
    context = {
        "form": filled,
        "is_saved": bool(text),
        "workspace": workspace,
        "comparison": comparison,
        # A form that was not saved keeps the edition that it was opened with.
        "edition": edition or edition_of_text(text),
    }
    return render(request, "alerts/routing_edit.html", context)


@permissions.operator_required
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Go back to each rule's own choice of channels, or take the branch of a workspace out of the tree."""
    workspace, by, now = to_change(request), permissions.person_of(request), timezone.now()
    try:
        with routing_preview.editing(workspace, request.POST.get("edition", "")):
            if workspace is None:
                edits.remove_routing(by=by, now=now)
            else:
                remove_branch(workspace, by=by, now=now)
    except Outdated:
        messages.warning(request, "Somebody else changed the routing after you opened it. Look at it again first.")
    except ConfigurationError as error:
        messages.warning(request, str(error))
    return redirect("notifications")


@permissions.operator_required
@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """The routing as a file for Alertmanager, without secrets."""
    changer_of(request.user).require(None)
    try:
        text = export_file()
    except ConfigurationError as error:
        messages.warning(request, str(error))
        return redirect("notifications")
    disposition = 'attachment; filename="alertmanager.yml"'
    return HttpResponse(text, content_type="application/yaml", headers={"Content-Disposition": disposition})
