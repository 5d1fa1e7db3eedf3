"""The form of a rule's table of thresholds: a row per threshold, and some empty ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from alerts.models import Severity
from alerts.routing.matchers import MatcherError, parse_matchers
from alerts.rules.fields import SpanField
from alerts.rules.thresholds import MAX_ROWS

PREFIX = "thresholds"
EMPTY_ROWS = 2


class ThresholdRow(forms.Form):
    """One row; a row whose label sets are empty says nothing."""

    match = forms.CharField(
        required=False,
        max_length=4096,
        label="Label sets",
        widget=forms.TextInput(attrs={"class": "mono", "placeholder": 'model=~"gpt.*"'}),
    )
    threshold = forms.FloatField(required=False, widget=forms.NumberInput(attrs={"step": "any"}))
    recovery_threshold = forms.FloatField(
        required=False, label="Recovers at", widget=forms.NumberInput(attrs={"step": "any"})
    )
    for_seconds = SpanField(required=False, label="For")
    severity = forms.ChoiceField(choices=[("", "as the rule"), *Severity.choices], required=False)
    channels = forms.CharField(
        required=False,
        max_length=1000,
        label="Channels",
        widget=forms.TextInput(attrs={"placeholder": "as the rule"}),
    )

    def clean_match(self) -> str:
        """Matchers that can be read."""
        text = str(self.cleaned_data["match"]).strip()
        try:
            parse_matchers(text)
        except MatcherError as error:
            raise forms.ValidationError(f"{error}.") from None
        return text

    def clean(self) -> dict[str, Any]:
        """A row with label sets needs a threshold."""
        given = super().clean() or {}
        if given.get("match") and given.get("threshold") is None and "threshold" not in self.errors:
            self.add_error("threshold", "This row needs a threshold.")
        return given

    @property
    def row(self) -> dict[str, Any] | None:
        """What a valid row says; None for an empty one."""
        given = self.cleaned_data
        if not given.get("match"):
            return None
        names = [name.strip() for name in given["channels"].split(",") if name.strip()]
        return {
            "match": given["match"],
            "threshold": given["threshold"],
            **({} if given["recovery_threshold"] is None else {"recovery_threshold": given["recovery_threshold"]}),
            **({"for_seconds": given["for_seconds"]} if self["for_seconds"].value() else {}),
            **({"severity": given["severity"]} if given["severity"] else {}),
            **({"channels": names} if names else {}),
        }


_Rows = forms.formset_factory(ThresholdRow, extra=EMPTY_ROWS, max_num=MAX_ROWS, absolute_max=MAX_ROWS + EMPTY_ROWS)


class ThresholdRows:
    """The table as it is shown, and as it was typed; a form that has none of it says nothing of it."""

    def __init__(self, data: Mapping[str, Any] | None, rows: Sequence[dict[str, Any]]) -> None:
        self.is_given = data is not None and f"{PREFIX}-TOTAL_FORMS" in data
        initial = [{**row, "channels": ", ".join(row.get("channels", ()))} for row in rows]
        self.formset = _Rows(data if self.is_given else None, initial=initial, prefix=PREFIX)
        self._kept = list(rows)

    @property
    def problem(self) -> str:
        """What is wrong with the first row that cannot be used."""
        if not self.is_given or self.formset.is_valid():
            return ""
        for place, form in enumerate(self.formset.forms, start=1):
            for name, errors in form.errors.items():
                return f"row {place}, {form.fields[name].label or name}: {errors[0]}"
        return str(self.formset.non_form_errors()[0])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a table without problems."""
        if not self.is_given:
            return self._kept
        return [row for form in self.formset.forms if (row := form.row) is not None]
