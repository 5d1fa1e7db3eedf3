"""Writes of budgets."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db import transaction

from core.accounts.ownership import OwnerField
from core.accounts.permissions import Person
from core.audit.record import record, record_change, snapshot
from usage.models import Budget

AUDITED = ("team", "limit_usd", "period")


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A budget as an operator types it."""

    limit_usd = forms.FloatField(label="Limit, USD", min_value=0.01)

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.fields["workspace"] = OwnerField(user)

    def clean(self) -> dict[str, Any]:
        """A team has one budget of each owner."""
        given = super().clean() or {}
        self.instance.workspace = given.get("workspace", self.instance.workspace)
        others = Budget.objects.filter(workspace=self.instance.workspace, team=given.get("team")).exclude(
            pk=self.instance.pk
        )
        if others.exists():
            self.add_error("team", "This team has a budget already.")
        return given

    class Meta:
        model = Budget
        fields: ClassVar[list[str]] = ["team", "limit_usd", "period"]
        help_texts: ClassVar[dict[str, str]] = {"team": "As in the field `team` of the records."}


def save_budget(budget: Budget) -> Budget:
    """Store a checked budget."""
    old = Budget.objects.filter(pk=budget.pk).first()
    with transaction.atomic():
        budget.save()
        if old is None:
            record("created", budget, after=snapshot(budget, AUDITED))
        else:
            record_change(budget, snapshot(old, AUDITED), snapshot(budget, AUDITED))
    return budget


def delete_budget(budget: Budget) -> None:
    """Forget a budget; what was spent stays recorded."""
    with transaction.atomic():
        record("deleted", budget, before=snapshot(budget, AUDITED))
        budget.delete()
