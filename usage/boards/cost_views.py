"""Cost and budgets: who spends what, and why more than yesterday?"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts import ownership, permissions
from core.accounts.time_zones import zone_of
from core.api.editions import Outdated, editing
from core.ui import time_range as ranges
from core.ui.listing import listing
from usage.boards import costs, queries
from usage.boards.budget_edits import BudgetForm, delete_budget, save_budget
from usage.boards.declarations import COST
from usage.boards.views import answer, board_panels
from usage.models import Budget


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Today against yesterday, by team and model; budgets."""
    now = timezone.now()
    scope = permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, now)
    calls = queries.Rollups("llm_call", scope.slugs, now)
    sort = request.GET.get("sort", "today")
    zone = zone_of(scope.slugs)
    rows = costs.by_team_and_model(calls, now, zone, queries.colours_by_value("model"), sort)
    context = {
        "scope": scope,
        "zone": zone.key,
        "time_range": time_range,
        "panels": board_panels(COST, request.user, scope, time_range),
        "sort": sort,
        "tiles": costs.tiles(calls, time_range, now, zone),
        "rows": listing(rows, request.GET, lambda row: f"{row.team} {row.model}"),
        "budgets": costs.budget_states(calls, scope.slugs, now),
        "changer": ownership.changer_of(request.user),
        "may_operate": permissions.may_operate(request.user),
    }
    return answer(request, "usage/cost.html", context)


def _own_budget(request: HttpRequest, budget_id: int) -> Budget:
    """The budget. Raises Http404 for a stranger to it, PermissionDenied where the person may not change it."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    budget = get_object_or_404(Budget.objects.filter(visible).select_related("workspace"), pk=budget_id)
    ownership.changer_of(request.user).require(budget.workspace_id)
    return budget


@login_required
@require_http_methods(["GET", "POST"])
def save(request: HttpRequest, budget_id: int | None = None) -> HttpResponse:
    """The form of a new or an existing budget."""
    if not permissions.may_operate(request.user):
        raise PermissionDenied
    budget = _own_budget(request, budget_id) if budget_id else None
    form = BudgetForm(request.POST or None, instance=budget, user=request.user)
    if request.method == "POST" and form.is_valid():
        typed = form.save(commit=False)
        try:
            with editing(typed, request.POST.get("edition", "")):
                saved = save_budget(typed)
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            messages.success(request, f"The budget of {saved.team} is {saved.limit_usd:,.2f} USD per {saved.period}.")
            return redirect("cost")
    return render(request, "usage/budget_form.html", {"form": form, "budget": budget})


@login_required
@require_POST
def delete(request: HttpRequest, budget_id: int) -> HttpResponse:
    """Forget a budget."""
    budget = _own_budget(request, budget_id)
    delete_budget(budget)
    messages.success(request, f"The budget of {budget.team} is gone; what was spent stays recorded.")
    return redirect("cost")
