"""Writes of operators' prices. Every process sees them within seconds (usage.price); this one at once."""

from __future__ import annotations

from django.contrib.auth.models import User

from usage.forms import PriceForm
from usage.models import Price
from usage.price import operator


def save_price(form: PriceForm, by: User) -> Price:
    """Store a valid form."""
    price: Price = form.save(commit=False)
    if price.pk is None:
        price.created_by = by
    price.save()
    operator.forget()
    return price


def delete_price(price: Price) -> None:
    """Forget a price; what it priced keeps its cost."""
    price.delete()
    operator.forget()
