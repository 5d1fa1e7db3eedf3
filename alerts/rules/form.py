"""The form of a rule: the text that a person typed, and the edit that it makes."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from django import forms
from django.db.models import Q

import promql
from alerts import gotemplate
from alerts.models import Channel, Rule, RuleGroup, Runbook, Severity, WithoutData
from alerts.rules.edits import MAX_FLAP_LIMIT, UNSET, RuleEdit
from alerts.rules.expression import PLACEHOLDER, ExpressionError, check
from alerts.rules.fields import SpanField
from alerts.rules.judgement import check_judgement
from alerts.rules.models import FILED
from alerts.rules.threshold_rows import ThresholdRows
from core.accounts.ownership import OwnerField, owned
from core.accounts.permissions import Person, scope_of

# As long as the placeholder, so that the parser's positions are those of the text that was typed.
STAND_IN = "1234567890"
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class TemplateField(forms.CharField):
    """A text with Go templates; what cannot be parsed is refused with its place."""

    def validate(self, value: str) -> None:
        """Check the template too."""
        super().validate(value)
        check_template(value)


class PairsField(forms.CharField):
    """Names and texts, a line each: `team=payments`."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """A mapping as its lines; text stays as it was."""
        return "\n".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        """The mapping."""
        pairs = {}
        lines = (super().to_python(value) or "").splitlines()
        for number, line in enumerate(lines, start=1):
            name, equals, text = line.partition("=")
            if line.strip() and not (equals and LABEL_NAME.match(name.strip())):
                raise forms.ValidationError(f"“{line.strip()}” is not of the form name=text.")
            if line.strip():
                check_template(text.strip(), line=number, column=line.index(text.strip(), len(name) + 1))
                pairs[name.strip()] = text.strip()
        return pairs


class RuleForm(forms.Form):
    """All that a person may change of a rule. `name` and `group` are asked for a new one
    only; a draft may do without them."""

    name = forms.CharField(max_length=200, help_text="The label alertname; it cannot be changed later.")
    group = forms.ModelChoiceField(RuleGroup.objects.all(), help_text="Rules of a group are evaluated together.")
    record = forms.CharField(
        max_length=200,
        required=False,
        label="Records as",
        help_text=(
            "A metric's name makes it a recording rule: its result is kept as series under that name, and "
            "raises no alert."
        ),
    )
    title = forms.CharField(max_length=200, required=False, label="What it watches")
    threshold = forms.FloatField(required=False, label="Threshold")
    unit = forms.CharField(max_length=40, required=False, label="Unit of the value")
    threshold_unit = forms.CharField(max_length=80, required=False, label="Unit of the threshold, if another")
    for_seconds = SpanField(required=False, label="For at least")
    keep_firing_seconds = SpanField(required=False, label="Keep firing for")
    recovery_threshold = forms.FloatField(
        required=False,
        label="Recovers only at",
        help_text="On the other side of the threshold: a value that wavers between the two ends no alert. Empty: none.",
    )
    min_events = forms.FloatField(
        required=False,
        min_value=0,
        label="Least number of events",
        help_text="Of a ratio: with fewer of them it says too little, and nothing fires.",
    )
    flap_limit = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_FLAP_LIMIT,
        label="Damp beyond firings an hour",
        help_text="One that fires more often goes on firing until it is quieter. Empty: never.",
    )
    shadow = forms.BooleanField(
        required=False,
        label="Only a shadow",
        help_text="Evaluated and shown on its own pages, beside another rule; nobody is notified.",
    )
    no_data = forms.ChoiceField(choices=WithoutData.choices, required=False, label="Without data")
    on_error = forms.ChoiceField(
        choices=WithoutData.choices, required=False, initial=WithoutData.KEEP, label="When the query fails"
    )
    severity = forms.ChoiceField(choices=Severity.choices)
    runbook = forms.ModelChoiceField(Runbook.objects.all(), required=False, empty_label="none")
    summary = TemplateField(required=False, label="Message", widget=forms.Textarea(attrs={"rows": 2, "class": "mono"}))
    description = TemplateField(
        required=False, label="Description", widget=forms.Textarea(attrs={"rows": 3, "class": "mono"})
    )
    alertname = forms.CharField(
        max_length=200,
        required=False,
        label="Label alertname, if not its name",
        help_text="Where several rules raise alerts of one name.",
    )
    folder = forms.CharField(max_length=100, required=False, label="Folder")
    owner = forms.CharField(max_length=100, required=False, label="Owner")
    team = forms.CharField(max_length=100, required=False, label="Team")
    labels = PairsField(required=False, label="More labels, name=text per line")
    annotations = PairsField(required=False, label="More annotations, name=text per line")
    channels = forms.ModelMultipleChoiceField(
        Channel.objects.all(), required=False, widget=forms.CheckboxSelectMultiple, label="Channels"
    )
    expr = forms.CharField(
        label="PromQL", widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"})
    )

    def __init__(
        self, *args: Any, user: Person, rule: Rule | None = None, is_draft: bool = False, **kwargs: Any
    ) -> None:
        if rule is not None:
            kwargs.setdefault("initial", initial_of(rule))
        super().__init__(*args, **kwargs)
        self.suggestion = ""
        self.rule_name = rule.name if rule is not None else ""
        self.rule_record = rule.record if rule is not None else ""
        self.rule_workspace = rule.workspace if rule is not None else None
        shown = rule.thresholds if rule is not None else self.initial.get("thresholds", [])
        self.rows = ThresholdRows(self.data if self.is_bound else None, shown)
        self._offer(rule, scope_of(user, {}).slugs)
        if rule is None:
            self.fields["workspace"] = OwnerField(user)
        if rule is not None:
            del self.fields["name"], self.fields["group"], self.fields["record"]
        elif is_draft:
            self.fields["name"].required = self.fields["group"].required = self.fields["workspace"].required = False
        for name in ("labels", "annotations"):
            self.fields[name].widget.attrs |= {"rows": 2, "class": "mono"}
        for name in ("threshold", "recovery_threshold", "min_events"):
            self.fields[name].widget.attrs |= {"step": "any"}

    def _offer(self, rule: Rule | None, workspaces: Collection[str] | None) -> None:
        """The channels and runbooks to choose from: those of the rule's owner and the
        portal's, as far as the person may see them."""
        own = Q() if rule is None else Q(workspace=None) | Q(workspace=rule.workspace_id)
        for name, model in (("channels", Channel), ("runbook", Runbook)):
            field = self.fields[name]
            if isinstance(field, forms.ModelChoiceField):
                field.queryset = model._default_manager.filter(own, owned(workspaces))

    def clean_expr(self) -> str:
        """PromQL that the engine evaluates to a vector or a scalar; errors say where."""
        text = str(self.cleaned_data["expr"]).replace("\r\n", "\n").strip()
        try:
            query = promql.parse(text.replace(PLACEHOLDER, STAND_IN))
        except promql.ParseError as error:
            self.suggestion = (error.suggestion or "").replace(STAND_IN, PLACEHOLDER)
            raise forms.ValidationError(placed(error.message, error.position, text)) from None
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
                if problem := self.rows.problem:
                    self.add_error(None, f"Thresholds by label set: {problem}")
                if not self.errors:
                    check_judgement(Rule(expr=given["expr"], threshold=given["threshold"], **self._judgement(given)))
            except ExpressionError as error:
                if error.field in self.fields:
                    self.add_error(error.field, str(error))
                else:
                    self.add_error(None, f"Thresholds by label set: {error}")
        return given

    def _judgement(self, given: dict[str, Any]) -> dict[str, Any]:
        """How the rule judges; what is empty is off."""
        return {
            "recovery_threshold": given["recovery_threshold"],
            "min_events": given["min_events"] or 0,
            "flap_limit": given["flap_limit"] or 0,
            "thresholds": self.rows.rows,
            "shadow": given["shadow"],
            "no_data": given["no_data"] or WithoutData.OK,
            "on_error": given["on_error"] or WithoutData.KEEP,
        }

    @property
    def has_judgement(self) -> bool:
        """Whether one of the fields of recovery, events, flapping and missing data is used or wrong."""
        names = ("recovery_threshold", "min_events", "flap_limit", "no_data", "on_error")
        usual = {"no_data": WithoutData.OK, "on_error": WithoutData.KEEP}
        return any(
            self.errors.get(name) or str(self[name].value() or "") not in ("", "0", usual.get(name)) for name in names
        )

    @property
    def has_more_errors(self) -> bool:
        """Whether one of the fields that are folded away is wrong."""
        return bool(self.errors.keys() & {"unit", "labels", "annotations", "record", "alertname"})

    @property
    def edit(self) -> RuleEdit:
        """The edit of a valid form, without the channels."""
        given = self.cleaned_data
        own = {name: given[name].strip() for name in ("summary", "description") if given[name].strip()}
        return RuleEdit(
            title=given["title"],
            alertname=given["alertname"].strip(),
            record=given["record"].strip() if "record" in given else UNSET,
            expr=given["expr"],
            threshold=given["threshold"],
            unit=given["unit"],
            threshold_unit=given["threshold_unit"],
            for_seconds=given["for_seconds"],
            keep_firing_seconds=given["keep_firing_seconds"],
            **self._judgement(given),
            severity=given["severity"],
            labels=given["labels"],
            annotations={**given["annotations"], **own},
            runbook=given["runbook"],
            **{name: given[name].strip() for name in FILED},
        )

    @property
    def typed(self) -> Rule:
        """A rule as typed into a valid form, not stored."""
        edit = self.edit
        workspace = self.cleaned_data.get("workspace") or self.rule_workspace
        given = {"record": self.rule_record, **edit.given()}
        return Rule(name=self.cleaned_data.get("name") or self.rule_name, workspace=workspace, **given)


def initial_of(rule: Rule) -> dict[str, Any]:
    """What the form of a rule shows at first."""
    more = {name: text for name, text in rule.annotations.items() if name not in ("summary", "description")}
    names = (
        "title",
        "alertname",
        "threshold",
        "unit",
        "threshold_unit",
        "for_seconds",
        "keep_firing_seconds",
        "no_data",
        "on_error",
        "shadow",
        "severity",
        "labels",
        *FILED,
    )
    return {
        **{name: getattr(rule, name) for name in names},
        "threshold": None if rule.threshold is None else f"{rule.threshold:.15g}",
        "recovery_threshold": None if rule.recovery_threshold is None else f"{rule.recovery_threshold:.15g}",
        "min_events": f"{rule.min_events:.15g}" if rule.min_events else None,
        "flap_limit": rule.flap_limit or None,
        "runbook": rule.runbook_id,
        "summary": rule.annotations.get("summary", ""),
        "description": rule.annotations.get("description", ""),
        "annotations": more,
        "channels": [channel.pk for channel in rule.channels.all()],
        "expr": rule.expr,
    }


def check_template(text: str, line: int = 1, column: int = 0) -> None:
    """Refuse a template that cannot be parsed. `line` and `column` (from 0) are where the text begins in its field."""
    try:
        gotemplate.parse(text)
    except gotemplate.TemplateError as error:
        raise forms.ValidationError(placed(error.message, error.position, text, line, column)) from None


def placed(message: str, position: int | None, text: str, line: int = 1, column: int = 0) -> str:
    """The error with the line and column where it is; the text begins at `line` and `column` (from 0) of its field."""
    if position is None:
        return f"{message}."
    before = text[:position]
    last = before.rfind("\n") + 1
    lines = before.count("\n")
    excerpt = text[position:].split("\n")[0][:24].strip()
    near = f", at “{excerpt}”" if excerpt else ", at the end"
    return f"Line {line + lines}, column {position - last + 1 + (0 if lines else column)}{near}: {message}."
