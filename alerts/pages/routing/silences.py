"""Pages of silences: what is quiet until when, and what that holds back."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts.incidents import silences
from alerts.incidents.access import require_silence, visible_silences
from alerts.incidents.models import Silence
from alerts.incidents.muting import matchers_of
from alerts.pages.routing.recurring_silences import recurring_rows
from alerts.pages.routing.routing_forms import EXTEND, SilenceForm
from alerts.routing.matchers import MatcherError, parse_matchers
from core.accounts import permissions
from core.accounts.holder import user_of
from core.accounts.ownership import changer_of

BEFORE = dt.timedelta(days=7)
ENDS_SOON = dt.timedelta(minutes=30)


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Active and coming silences with what they hit; or expired ones."""
    now = timezone.now()
    expired = "expired" in request.GET
    slugs = permissions.scope_of(request.user, {}).slugs
    context = {
        "rows": silence_rows(silences.silence_list(now, expired=expired), now, slugs),
        "expired": expired,
        "recurring": [] if expired else recurring_rows(slugs, now),
        "may_operate": permissions.may_operate(request.user),
    }
    return render(request, "alerts/silences.html", context)


def silence_rows(found: list[Silence], now: dt.datetime, slugs: frozenset[str] | None) -> list[dict[str, object]]:
    """Each with its state, its matchers, what it hits now and over the last week, and how much of it is over."""
    found, rows = visible_silences(found, slugs), []
    for silence, matched in zip(found, silences.matched_by_silences(found, now - BEFORE, slugs), strict=True):
        whole = (silence.ends_at - silence.starts_at) or dt.timedelta(seconds=1)
        rows.append(
            {
                "silence": silence,
                "state": silence.state(now),
                "matchers": [str(matcher) for matcher in matchers_of(silence)],
                "matched": matched,
                "percent": round(max(0, min(1, (now - silence.starts_at) / whole)) * 100),
                "ends_soon": silence.state(now) == "active" and silence.ends_at - now < ENDS_SOON,
            }
        )
    return rows


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new silence, with a preview of what it hits."""
    now = timezone.now()
    form = SilenceForm(request.POST or None, initial={"matchers": request.GET.get("matchers", ""), "hours": "2"})
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        require_silence(changer_of(request.user), form.cleaned_data["matchers"])
        try:
            silences.set_silence(
                form.cleaned_data["matchers"],
                now,
                now + form.span,
                created_by=permissions.person_of(request).get_username(),
                comment=form.cleaned_data["comment"],
                now=now,
                author=user_of(permissions.person_of(request)),
            )
        except silences.SilenceError as error:
            form.add_error("matchers", str(error))
        else:
            return redirect("silences")
    context: dict[str, object] = {"form": form, "matched": None}
    try:
        text = request.POST.get("matchers", "") or request.GET.get("matchers", "")
        slugs = permissions.scope_of(request.user, {}).slugs
        context["matched"] = silences.matched_by(parse_matchers(text), now - BEFORE, slugs) if text else None
    except MatcherError:
        pass
    return render(request, "alerts/silence_new.html", context)


def find(request: HttpRequest, silence_id: UUID) -> Silence:
    """The silence, to change it. Raises Http404 for a stranger to it, PermissionDenied for who may not."""
    silence = get_object_or_404(Silence, pk=silence_id)
    if not visible_silences([silence], permissions.scope_of(request.user, {}).slugs):
        raise Http404("No such silence.")
    require_silence(changer_of(request.user), matchers_of(silence))
    return silence


@permissions.operator_required
@require_POST
def expire(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """End it now."""
    silences.expire_silence(find(request, silence_id), timezone.now())
    return redirect("silences")


@permissions.operator_required
@require_POST
def extend(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """Let it go on for two more hours."""
    silence, now = find(request, silence_id), timezone.now()
    if silence.state(now) == "expired":
        messages.warning(request, "It has expired. Make a new one.")
        return redirect("silences")
    silences.set_silence(
        matchers_of(silence),
        silence.starts_at,
        silence.ends_at + EXTEND,
        created_by=silence.created_by,
        comment=silence.comment,
        now=now,
        silence_id=silence.pk,
    )
    return redirect("silences")
