"""The form of a rule template's blanks, which stand in place of its query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from alerts.rules.rule_templates import TEMPLATES, Blank, RuleTemplate, recognise

CHOSEN = "template"
# Buttons that fill in what was suggested, and the fields that they fill.
USED = {"use_threshold": "threshold", "use_for": "for_seconds"}
PREFIX = "blank"


class TemplateForm(forms.Form):
    """A field per blank. `filled` is the query of a valid form."""

    def __init__(
        self, template: RuleTemplate, data: QueryDict | None = None, *, values: Mapping[str, str] | None = None
    ) -> None:
        self.template = template
        given = template.defaults() | dict(values or {})
        super().__init__(data, prefix=PREFIX)
        for blank in template.blanks:
            self.fields[blank.name] = _field(blank, given[blank.name])

    @property
    def filled(self) -> str:
        """The query with what was typed in its blanks."""
        values = {blank.name: _text(blank, self.cleaned_data[blank.name]) for blank in self.template.blanks}
        return self.template.fill(values)


def template_form(data: QueryDict | None, chosen: str, expr: str = "") -> TemplateForm | None:
    """The form of the template that was posted, else of the one that is asked for by name, else of
    the one that a query is; None for none."""
    if data is not None:
        template = TEMPLATES.get(data.get(CHOSEN, ""))
        return TemplateForm(template, data) if template is not None else None
    if chosen in TEMPLATES:
        return TemplateForm(TEMPLATES[chosen])
    found = recognise(expr) if chosen == "form" else None
    return TemplateForm(found[0], values=found[1]) if found is not None else None


def with_query(data: QueryDict, blanks: TemplateForm | None) -> QueryDict:
    """What was posted, with the query that the blanks make; with what was suggested where that was chosen."""
    found = data.copy()
    if blanks is not None and blanks.is_valid():
        found["expr"] = blanks.filled
    for button, field in USED.items():
        if button in found:
            found[field] = found.get(button, "")
    return found


def _field(blank: Blank, initial: str) -> forms.Field:
    if blank.many:
        return forms.MultipleChoiceField(
            choices=[*blank.choices.items()],
            initial=initial.split(", "),
            label=blank.label,
            widget=forms.CheckboxSelectMultiple,
        )
    if blank.choices:
        return forms.ChoiceField(choices=[*blank.choices.items()], initial=initial, label=blank.label)
    return forms.FloatField(
        initial=initial,
        label=blank.label,
        min_value=blank.low,
        max_value=blank.high,
        help_text=blank.help,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


def _text(blank: Blank, value: Any) -> str:
    """A field's value as it stands in the query."""
    if blank.many:
        return ", ".join(name for name in blank.choices if name in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
