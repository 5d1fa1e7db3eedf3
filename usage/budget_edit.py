"""Writes of budgets."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from usage.models import Budget


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A budget as an operator types it."""

    limit_usd = forms.FloatField(label="Limit, USD", min_value=0.01)

    class Meta:
        model = Budget
        fields: ClassVar[list[str]] = ["team", "limit_usd", "period"]
        help_texts: ClassVar[dict[str, str]] = {"team": "As in the field `team` of the records."}


def save_budget(form: BudgetForm) -> Budget:
    """Store a valid form."""
    budget: Budget = form.save()
    return budget


def delete_budget(budget: Budget) -> None:
    """Forget a budget; what was spent stays recorded."""
    budget.delete()
