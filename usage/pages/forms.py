"""Forms of the pages of data: keys, prices, and the filters of receipts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from core.accounts.models import SCOPES, ApiKey, Workspace
from usage.models import Price, Receipt


class KeyForm(forms.Form):
    """A new API key."""

    LIFETIMES = (("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"))
    name = forms.CharField(max_length=100, help_text="The application that sends, such as checkout-svc.")
    workspace = forms.ModelChoiceField(Workspace.objects.none(), empty_label=None)
    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {text}") for name, text in SCOPES],
        initial=["ingest"],
        widget=forms.CheckboxSelectMultiple,
        label="Scopes",
    )
    lifetime = forms.ChoiceField(choices=LIFETIMES, required=False, label="Expires")
    rate = forms.IntegerField(
        min_value=0,
        max_value=1_000_000,
        required=False,
        label="Requests per minute",
        help_text="Empty: the limit from the settings.",
    )

    def __init__(self, *args: Any, workspaces: QuerySet[Workspace], may_take_all: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["workspace"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = workspaces
            if may_take_all:
                field.required, field.empty_label = False, "all workspaces (only to read and to change rules)"

    def expires_at(self, now: datetime) -> datetime | None:
        """When a valid form's key ends."""
        days = self.cleaned_data["lifetime"]
        return now + timedelta(days=int(days)) if days else None


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """An operator's price of a model."""

    input_usd = forms.FloatField(min_value=0, label="Input, USD per million tokens")
    output_usd = forms.FloatField(
        min_value=0,
        label="Output, USD per million tokens",
        help_text="0 for a model without output tokens, such as embeddings.",
    )
    cached_usd = forms.FloatField(
        min_value=0,
        required=False,
        label="Cached input, USD per million tokens",
        help_text="Empty: charged like other input.",
    )
    valid_from = forms.DateTimeField(
        label="Valid from, UTC",
        initial=timezone.now,
        widget=forms.DateTimeInput(format="%Y-%m-%d %H:%M"),
        help_text="Records that arrive later are priced with it when they happened after this time."
        " What is stored keeps its cost.",
    )

    class Meta:
        model = Price
        fields: ClassVar[list[str]] = ["provider", "model", "input_usd", "output_usd", "cached_usd", "valid_from"]


class ReceiptForm(forms.Form):
    """The filters of the receipts, as in the URL."""

    key = forms.ModelChoiceField(ApiKey.objects.none(), required=False, empty_label="all keys")
    state = forms.ChoiceField(choices=[("", "all states"), *Receipt.STATES], required=False)
    rejected = forms.BooleanField(required=False, label="only with refused records")

    def __init__(self, *args: Any, keys: QuerySet[ApiKey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["key"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = keys

    @property
    def page(self) -> int:
        """The page of the list, from 1."""
        text = str(self.data.get("page", "1"))
        return int(text) if text.isdecimal() and len(text) < 7 else 1
