"""Pages of silences that come again every week."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from alerts.incidents.access import require_silence, visible_silences
from alerts.incidents.silences import SilenceError, matched_by
from alerts.pages.routing.routing_forms import RecurringSilenceForm
from alerts.silencing import recurring
from alerts.silencing.models import RecurringSilence
from core.accounts import permissions
from core.accounts.ownership import changer_of

WEEK = dt.timedelta(days=7)


def recurring_rows(slugs: frozenset[str] | None, now: dt.datetime) -> list[dict[str, Any]]:
    """Those that the reader sees, each with when it holds and its next window."""
    rows = []
    for one in recurring.visible_recurring(slugs):
        weekly = recurring.weekly_of(one)
        rows.append(
            {
                "recurring": one,
                "matchers": [str(matcher) for matcher in recurring.matchers_of(one)],
                "summary": weekly.summary,
                "next": next(weekly.windows(now), None),
            }
        )
    return rows


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new one, with a preview of its next windows and of what it matches."""
    now = timezone.now()
    initial = {"matchers": request.GET.get("matchers", "")}
    form = RecurringSilenceForm(request.POST or None, initial=initial)
    context: dict[str, object] = {"form": form, "matched": None}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        require_silence(changer_of(request.user), given["matchers"])
        try:
            weekly = form.weekly()
            if "preview" not in request.POST:
                by = permissions.person_of(request)
                recurring.add_recurring(given["matchers"], weekly, comment=given["comment"], by=by, now=now)
                return redirect("silences")
            context |= {
                "windows": recurring.next_windows(weekly, now),
                "summary": weekly.summary,
                "matched": matched_by(given["matchers"], now - WEEK, permissions.scope_of(request.user, {}).slugs),
            }
        except SilenceError as error:
            form.add_error(None, str(error))
    return render(request, "alerts/silence_recurring.html", context)


@permissions.operator_required
@require_POST
def remove(request: HttpRequest, recurring_id: int) -> HttpResponse:
    """End it for good."""
    one = get_object_or_404(RecurringSilence, pk=recurring_id)
    if not visible_silences([one], permissions.scope_of(request.user, {}).slugs):
        raise Http404("No such silence.")
    require_silence(changer_of(request.user), recurring.matchers_of(one))
    recurring.remove_recurring(one, by=permissions.person_of(request), now=timezone.now())
    messages.success(request, "It does not come again.")
    return redirect("silences")
