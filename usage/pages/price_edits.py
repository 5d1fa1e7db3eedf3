"""Writes of operators' prices. Every process sees them within seconds (usage.records.pricing); this one at once."""

from __future__ import annotations

from django.db import transaction

from core.accounts.holder import Actor, user_of
from core.audit.record import record, record_change, snapshot
from usage.models import Price
from usage.records.pricing import operator

AUDITED = ("provider", "model", "input_usd", "output_usd", "cached_usd", "valid_from")


def save_price(price: Price, by: Actor | None) -> Price:
    """Store a checked price; a new one with its author."""
    old = Price.objects.filter(pk=price.pk).first()
    if old is None:
        price.created_by = user_of(by)
    with transaction.atomic():
        price.save()
        if old is None:
            record("created", price, after=snapshot(price, AUDITED), by=by)
        else:
            record_change(price, snapshot(old, AUDITED), snapshot(price, AUDITED), by=by)
    operator.forget()
    return price


def delete_price(price: Price) -> None:
    """Forget a price; what it priced keeps its cost."""
    with transaction.atomic():
        record("deleted", price, before=snapshot(price, AUDITED))
        price.delete()
    operator.forget()
