"""Prices: what does a token cost, and which models have no price?"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from core.accounts import permissions
from core.accounts.ownership import changer_of
from core.api.editions import Outdated, editing
from core.ui.listing import listing
from usage.models import Price
from usage.pages import price_queries
from usage.pages.forms import PriceForm
from usage.pages.price_edits import delete_price, save_price


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Models without a price first, then the operators' prices and all models seen."""
    scope = permissions.scope_of(request.user, request.GET)
    models = price_queries.models_seen(scope.slugs, timezone.now())
    context = {
        "scope": scope,
        "models": listing(models, request.GET, lambda model: f"{model.model} {model.provider}"),
        "unpriced": [model for model in models if model.unpriced],
        "without": [model for model in models if not model.source],
        "prices": price_queries.operator_prices(),
        "may_change": changer_of(request.user).portal,
        "days": price_queries.DAYS,
    }
    return render(request, "usage/prices.html", context)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, price_id: int | None = None) -> HttpResponse:
    """The form of a new or an existing price; `provider` and `model` of the URL fill a new one. Prices are the whole
    portal's."""
    changer_of(request.user).require(None)
    price = get_object_or_404(Price, pk=price_id) if price_id else None
    initial = {name: request.GET[name] for name in ("provider", "model") if name in request.GET and price is None}
    form = PriceForm(request.POST or None, instance=price, initial=initial)
    if request.method == "POST" and form.is_valid():
        typed = form.save(commit=False)
        try:
            with editing(typed, request.POST.get("edition", "")):
                saved = save_price(typed, permissions.person_of(request))
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            messages.success(request, f"The price of {saved} is saved; records that arrive from now on take it.")
            return redirect("prices")
    return render(request, "usage/price_edit.html", {"form": form, "price": price}, status=422 if form.errors else 200)


@permissions.operator_required
@require_POST
def delete(request: HttpRequest, price_id: int) -> HttpResponse:
    """Forget a price."""
    changer_of(request.user).require(None)
    price = get_object_or_404(Price, pk=price_id)
    delete_price(price)
    messages.success(request, f"The price of {price} is gone; what it priced keeps its cost.")
    return redirect("prices")
