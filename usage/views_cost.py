"""Cost and budgets: who spends what, and why more than yesterday?"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from usage import access, costs, queries, ranges
from usage.budget_edit import BudgetForm, delete_budget, save_budget
from usage.dashboards import COST
from usage.models import Budget
from usage.views_boards import answer, board_panels


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Today against yesterday, by team and model; budgets."""
    now = timezone.now()
    scope = access.read(request.user, request.GET)
    time_range = ranges.read(request.GET, now)
    calls = queries.Rollups("llm_call", scope.slugs, now)
    sort = request.GET.get("sort", "today")
    context = {
        "scope": scope,
        "time_range": time_range,
        "panels": board_panels(COST, scope, time_range),
        "sort": sort,
        "tiles": costs.tiles(calls, time_range, now),
        "rows": costs.by_team_and_model(calls, now, queries.colour_slots("model"), sort),
        "budgets": costs.budget_states(calls, None if scope.slugs is None else calls.values("team"), now),
        "may_operate": access.may_operate(request.user),
    }
    return answer(request, "usage/cost.html", context)


def _own_budget(request: HttpRequest, budget_id: int) -> Budget:
    """The budget, if the person operates and its team occurs in their workspaces. Raises PermissionDenied, Http404."""
    if not access.may_operate(request.user):
        raise PermissionDenied
    budget = Budget.objects.filter(pk=budget_id).first()
    slugs = access.read(request.user, {}).slugs
    if budget is None or (slugs is not None and budget.team not in queries.label_values("llm_call", "team", slugs)):
        raise Http404("No such budget.")
    return budget


@login_required
@require_http_methods(["GET", "POST"])
def save(request: HttpRequest, budget_id: int | None = None) -> HttpResponse:
    """The form of a new or an existing budget."""
    if not access.may_operate(request.user):
        raise PermissionDenied
    budget = _own_budget(request, budget_id) if budget_id else None
    form = BudgetForm(request.POST or None, instance=budget)
    if request.method == "POST" and form.is_valid():
        saved = save_budget(form)
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
