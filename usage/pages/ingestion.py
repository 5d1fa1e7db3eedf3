"""Ingestion: what was received, refused, doubled, delayed?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts import permissions
from core.accounts.models import ApiKey
from core.ui import time_range as ranges
from usage.catalog import KINDS
from usage.ingest import pipeline
from usage.ingest.dead_letters import discard, may_change_letter
from usage.models import DeadLetter
from usage.pages import ingestion_queries, receipts_figure
from usage.pages.forms import ReceiptForm
from usage.pages.ingestion_queries import ReceiptFilter
from usage.pages.label_growth import LabelGrowth, label_growth
from usage.relabelling.pages import rules_seen


def wanted_of(scope: permissions.Scope, time_range: ranges.TimeRange) -> ReceiptFilter:
    """The receipts of a page's workspaces and time; a range that ends now takes in what has just come."""
    end = timezone.now() if time_range.name else datetime.fromtimestamp(time_range.end_ms / 1000, UTC)
    return ReceiptFilter(
        workspaces=scope.slugs, since=datetime.fromtimestamp(time_range.start_ms / 1000, UTC), until=end
    )


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Rate, receipts, spool, dead letters, label sets."""
    scope, time_range = permissions.scope_of(request.user, request.GET), ranges.parse(request.GET, timezone.now())
    keys = ApiKey.objects.all() if scope.slugs is None else ApiKey.objects.filter(workspace__slug__in=scope.slugs)
    form = ReceiptForm(request.GET, keys=keys)
    form.is_valid()
    given, wanted = form.cleaned_data, wanted_of(scope, time_range)
    sums = ingestion_queries.rates(wanted, time_range.step_ms)
    key = given.get("key")
    narrowed = replace(
        wanted, key_id=key.pk if key else None, state=given.get("state") or "", rejected=bool(given.get("rejected"))
    )
    context = {
        "scope": scope,
        "time_range": time_range,
        "form": form,
        "is_filtering": any(given.values()),
        "listed": ingestion_queries.receipts(narrowed, form.page),
        "accepted": sum(sums.accepted),
        "duplicates": sum(sums.duplicates),
        "rejected": sum(sums.rejected),
        "spool": ingestion_queries.spooled(),
        "letters": Paginator(ingestion_queries.dead_letters(scope.slugs), 20).get_page(request.GET.get("letters")),
        "label_rules": rules_seen(scope),
        "label_sets": [(one, growth_of(one, scope)) for one in ingestion_queries.label_sets()],
        "base_url": settings.PORTAL.public_url,
        "may_operate": permissions.may_operate(request.user),
    }
    part = {"state": "usage/_ingestion_state.html", "receipts": "usage/_receipts.html"}.get(request.GET.get("part", ""))
    return render(request, part or "usage/ingestion.html", context)


def growth_of(sets: ingestion_queries.LabelSets, scope: permissions.Scope) -> LabelGrowth | None:
    """What makes the label sets of a kind many, where they are."""
    if sets.state == "ok" or sets.kind not in KINDS:
        return None
    return label_growth(sets.kind, scope.slugs, timezone.now())


@login_required
@require_GET
def figure(request: HttpRequest) -> HttpResponse:
    """The chart of what came in, as JSON for charts.js."""
    scope, time_range = permissions.scope_of(request.user, request.GET), ranges.parse(request.GET, timezone.now())
    sums = ingestion_queries.rates(wanted_of(scope, time_range), time_range.step_ms)
    return JsonResponse(receipts_figure.draw(sums, time_range))


@login_required
@require_GET
def receipt(request: HttpRequest, receipt_id: UUID) -> HttpResponse:
    """One receipt with its refused records and those it stored, which lead to their traces."""
    found = ingestion_queries.receipt_of(receipt_id, permissions.scope_of(request.user, {}).slugs)
    if found is None:
        raise Http404("No such receipt.")
    records = ingestion_queries.records_of(found)
    return render(request, "usage/receipt.html", {"receipt": found, "records": records})


def letter_of(request: HttpRequest, letter_id: int, *, to_change: bool = False) -> DeadLetter:
    """A dead letter that the person may see. Raises Http404; PermissionDenied when `to_change` and they may not."""
    slugs = permissions.scope_of(request.user, {}).slugs
    letter = ingestion_queries.dead_letters(slugs).defer(None).filter(pk=letter_id).first()
    if letter is None:
        raise Http404("No such dead letter; perhaps it was replayed.")
    if to_change and not may_change_letter(request.user, letter):
        raise PermissionDenied("This needs an operator of its workspace.")
    return letter


@login_required
@require_GET
def dead_letter(request: HttpRequest, letter_id: int) -> HttpResponse:
    """A batch that could not be stored: its error and its first records."""
    letter = letter_of(request, letter_id)
    try:
        records, problem = pipeline.contents(letter), ""
    except (msgspec.MsgspecError, ValueError) as error:
        records, problem = [], f"The batch cannot be read: {error}"
    context = {
        "letter": letter,
        "records": records,
        "problem": problem,
        "may_change": may_change_letter(request.user, letter),
    }
    return render(request, "usage/dead_letter.html", context)


@login_required
@require_POST
def replay(request: HttpRequest, letter_id: int) -> HttpResponse:
    """Try a dead letter again."""
    letter = letter_of(request, letter_id, to_change=True)
    try:
        stored = pipeline.replay(letter, timezone.now())
    except (DatabaseError, ValueError, msgspec.MsgspecError) as error:
        messages.error(request, f"It still cannot be stored: {error}")
        return redirect("dead-letter", letter.pk)
    messages.success(request, f"Stored: {stored.accepted} records, {stored.duplicates} were there already.")
    return redirect("ingestion")


@login_required
@require_http_methods(["GET", "POST"])
def discard_letter(request: HttpRequest, letter_id: int) -> HttpResponse:
    """Ask, then drop a dead letter for good."""
    letter = letter_of(request, letter_id, to_change=True)
    if request.method == "POST":
        discard(letter)
        messages.success(request, f"{letter.records} records were discarded.")
        return redirect("ingestion")
    return render(request, "usage/dead_letter_discard.html", {"letter": letter})
