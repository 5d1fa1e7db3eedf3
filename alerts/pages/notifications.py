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
from alerts.incidents import edits, silences
from alerts.incidents.alertmanager_file import editable_file, export_file, import_file
from alerts.incidents.policy import current_policy
from alerts.incidents.queries import delivery_counts, recent_label_sets, route_rows
from alerts.oncall.queries import duties
from alerts.pages.routing_forms import RoutingForm
from alerts.pages.silences import silence_rows
from alerts.routing.configuration import ConfigurationError
from alerts.routing.matchers import MatcherError, parse_matchers
from core.accounts import permissions
from core.accounts.ownership import changer_of

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
    slugs = permissions.scope_of(request.user, {}).slugs
    context = {
        "text": text,
        "problem": problem,
        "asked": bool(labels),
        "rows": route_rows(policy, labels or None, slugs),
        "has_tree": policy.configuration is not None,
        "recent": recent_label_sets(slugs),
        "counts": delivery_counts(now - DAY),
        "silences": silence_rows(silences.silence_list(now), now, slugs),
        "duties": duties(slugs, now),
        "channels": alert_queries.channel_list(slugs),
        "may_operate": permissions.may_operate(request.user),
        "may_route": changer_of(request.user).portal,
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


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """The routing as text; saving puts it in force. It is the whole portal's."""
    changer_of(request.user).require(None)
    form = RoutingForm(request.POST or None, initial={"text": editable_file() or START})
    if request.method == "POST" and form.is_valid():
        try:
            found = import_file(form.cleaned_data["text"], by=permissions.person_of(request), now=timezone.now())
        except ConfigurationError as error:
            form.add_error("text", str(error))
        else:
            for line in found.left_out:
                messages.warning(request, f"Left out: {line}")
            return redirect("notifications")
    return render(request, "alerts/routing_edit.html", {"form": form, "has_tree": bool(editable_file())})


@permissions.operator_required
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Go back to each rule's own choice of channels."""
    changer_of(request.user).require(None)
    edits.remove_routing(by=permissions.person_of(request), now=timezone.now())
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
