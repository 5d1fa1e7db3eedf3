"""The form of a rule: the text that a person typed, and the edit that it makes."""

from __future__ import annotations

import re
from typing import Any

from django import forms

import promql
from alerts import durations
from alerts.expression import PLACEHOLDER, ExpressionError, check, expand
from alerts.models import Channel, Rule, RuleGroup, Runbook, Severity
from alerts.rules import RuleEdit

# As long as the placeholder, so that the parser's positions are those of the text that was typed.
STAND_IN = "1234567890"
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class SpanField(forms.CharField):
    """A span of time, typed as 15m; its value is seconds."""

    def prepare_value(self, value: Any) -> Any:
        """Seconds as they are typed; text stays as it was."""
        return durations.short(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        """Seconds; empty means none."""
        text = super().to_python(value)
        try:
            return durations.read(text) if text else 0
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class PairsField(forms.CharField):
    """Names and texts, a line each: `team=payments`."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """A mapping as its lines; text stays as it was."""
        return "\n".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        """The mapping."""
        pairs = {}
        for line in (super().to_python(value) or "").splitlines():
            name, equals, text = line.partition("=")
            if line.strip() and not (equals and LABEL_NAME.match(name.strip())):
                raise forms.ValidationError(f"“{line.strip()}” is not of the form name=text.")
            if line.strip():
                pairs[name.strip()] = text.strip()
        return pairs


class RuleForm(forms.Form):
    """All that a person may change of a rule. `name` and `group` are asked for a new one only; a draft may do without them."""

    name = forms.CharField(max_length=200, help_text="The label alertname; it cannot be changed later.")
    group = forms.ModelChoiceField(RuleGroup.objects.all(), help_text="Rules of a group are evaluated together.")
    title = forms.CharField(max_length=200, required=False, label="What it watches")
    threshold = forms.FloatField(required=False, label="Threshold")
    unit = forms.CharField(max_length=40, required=False, label="Unit of the value")
    threshold_unit = forms.CharField(max_length=80, required=False, label="Unit of the threshold, if another")
    for_seconds = SpanField(required=False, label="For at least")
    keep_firing_seconds = SpanField(required=False, label="Keeps firing for")
    severity = forms.ChoiceField(choices=Severity.choices)
    runbook = forms.ModelChoiceField(Runbook.objects.all(), required=False, empty_label="none")
    summary = forms.CharField(
        required=False, label="Message", widget=forms.Textarea(attrs={"rows": 2, "class": "mono"})
    )
    description = forms.CharField(
        required=False, label="Description", widget=forms.Textarea(attrs={"rows": 3, "class": "mono"})
    )
    labels = PairsField(required=False, label="More labels, name=text per line")
    annotations = PairsField(required=False, label="More annotations, name=text per line")
    channels = forms.ModelMultipleChoiceField(
        Channel.objects.all(), required=False, widget=forms.CheckboxSelectMultiple, label="Tells"
    )
    expr = forms.CharField(
        label="PromQL", widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"})
    )

    def __init__(self, *args: Any, rule: Rule | None = None, is_draft: bool = False, **kwargs: Any) -> None:
        if rule is not None:
            kwargs.setdefault("initial", initial_of(rule))
        super().__init__(*args, **kwargs)
        self.suggestion = ""
        if rule is not None:
            del self.fields["name"], self.fields["group"]
        elif is_draft:
            self.fields["name"].required = self.fields["group"].required = False
        for name in ("labels", "annotations"):
            self.fields[name].widget.attrs |= {"rows": 2, "class": "mono"}
        self.fields["threshold"].widget.attrs |= {"step": "any"}

    def clean_expr(self) -> str:
        """PromQL that the engine evaluates to a vector or a scalar; errors say where."""
        text = str(self.cleaned_data["expr"]).replace("\r\n", "\n").strip()
        try:
            query = promql.parse(text.replace(PLACEHOLDER, STAND_IN))
        except promql.ParseError as error:
            self.suggestion = (error.suggestion or "").replace(STAND_IN, PLACEHOLDER)
            raise forms.ValidationError(placed(error, text)) from None
        if query.type not in ("vector", "scalar"):
            raise forms.ValidationError(
                f"This is a {query.type}; a rule needs an instant vector, such as a comparison."
            )
        return text

    def clean(self) -> dict[str, Any]:
        """The threshold and its place in the text belong together."""
        given = super().clean() or {}
        if "expr" in given and "threshold" in given:
            try:
                check(given["expr"], given["threshold"])
            except ExpressionError as error:
                self.add_error(error.field, str(error))
        return given

    @property
    def edit(self) -> RuleEdit:
        """The edit of a valid form, without the channels."""
        given = self.cleaned_data
        own = {name: given[name].strip() for name in ("summary", "description") if given[name].strip()}
        return RuleEdit(
            title=given["title"],
            expr=given["expr"],
            threshold=given["threshold"],
            unit=given["unit"],
            threshold_unit=given["threshold_unit"],
            for_seconds=given["for_seconds"],
            keep_firing_seconds=given["keep_firing_seconds"],
            severity=given["severity"],
            labels=given["labels"],
            annotations={**given["annotations"], **own},
            runbook=given["runbook"],
        )

    @property
    def typed(self) -> Rule:
        """A rule as typed into a valid form, not stored."""
        given = self.cleaned_data
        names = ("expr", "threshold", "unit", "for_seconds", "keep_firing_seconds")
        return Rule(**{name: given[name] for name in names})

    @property
    def expanded(self) -> str:
        """The query of a valid form, with its threshold filled in."""
        return expand(self.cleaned_data["expr"], self.cleaned_data["threshold"])


def initial_of(rule: Rule) -> dict[str, Any]:
    """What the form of a rule shows at first."""
    more = {name: text for name, text in rule.annotations.items() if name not in ("summary", "description")}
    names = ("title", "threshold", "unit", "threshold_unit", "for_seconds", "keep_firing_seconds", "severity", "labels")
    return {
        **{name: getattr(rule, name) for name in names},
        "threshold": None if rule.threshold is None else f"{rule.threshold:.15g}",
        "runbook": rule.runbook_id,
        "summary": rule.annotations.get("summary", ""),
        "description": rule.annotations.get("description", ""),
        "annotations": more,
        "channels": [channel.pk for channel in rule.channels.all()],
        "expr": rule.expr,
    }


def placed(error: promql.ParseError, text: str) -> str:
    """The error with the line and column where it is."""
    if error.position is None:
        return f"{error.message}."
    before = text[: error.position]
    line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
    excerpt = text[error.position :].split("\n")[0][:24].strip()
    near = f", at “{excerpt}”" if excerpt else ", at the end"
    return f"Line {line}, column {column}{near}: {error.message}."
