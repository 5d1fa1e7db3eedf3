"""Forms of the history's filters, of channels and of runbooks. They read text; channels.py and runbook_edit.py write."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from alerts import channels
from alerts.models import Channel, Rule, Runbook, Severity, State
from alerts.queries import HistoryFilter
from alerts.transports.contract import ConfigInvalid


class HistoryForm(forms.Form):
    """The filters of the history, as in the URL."""

    rule = forms.ModelChoiceField(Rule.objects.order_by("name"), required=False, empty_label="all rules")
    severity = forms.ChoiceField(choices=[("", "all severities"), *Severity.choices], required=False)
    state = forms.ChoiceField(
        choices=[("", "all states"), (State.FIRING, "firing"), (State.RESOLVED, "resolved")], required=False
    )
    text = forms.CharField(
        required=False, max_length=200, widget=forms.TextInput(attrs={"placeholder": "words or label=value"})
    )

    @property
    def page(self) -> int:
        """The page of the list, from 1."""
        text = str(self.data.get("page", "1"))
        return min(int(text), 100_000) if text.isdecimal() else 1

    @property
    def next_page(self) -> int:
        """The page after it."""
        return self.page + 1

    @property
    def previous_page(self) -> int | None:
        """The page before it; None for the first, which needs no number."""
        return self.page - 1 if self.page > 2 else None

    def wanted(
        self, *, since: dt.datetime, until: dt.datetime | None, workspaces: frozenset[str] | None
    ) -> HistoryFilter:
        """The filter; what cannot be read filters nothing."""
        self.is_valid()
        given = self.cleaned_data
        rule, text = given.get("rule"), given.get("text") or ""
        is_label = "=" in text and " " not in text.strip()
        return HistoryFilter(
            rule_id=rule.pk if rule else None,
            severity=given.get("severity") or "",
            state=given.get("state") or "",
            label=text if is_label else "",
            text="" if is_label else text,
            since=since,
            until=until,
            workspaces=workspaces,
        )

    @property
    def is_filtering(self) -> bool:
        """Whether anything is filtered."""
        return any(self.cleaned_data.values())


class ChannelForm(forms.Form):
    """A channel of one kind. Its secrets are asked for once and never shown again: left empty, the stored ones stay."""

    name = forms.CharField(
        max_length=100, label="Name", help_text="As messages and timelines call it, such as #llm-oncall."
    )
    severities = forms.MultipleChoiceField(
        choices=Severity.choices, required=False, widget=forms.CheckboxSelectMultiple, label="Takes"
    )
    send_resolved = forms.BooleanField(required=False, initial=True, label="Say also when an alert resolves")
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")

    def __init__(self, *args: Any, kind: str, channel: Channel | None = None, **kwargs: Any) -> None:
        if channel is not None:
            names = ("name", "severities", "send_resolved", "enabled")
            kwargs.setdefault("initial", {name: getattr(channel, name) for name in names})
        super().__init__(*args, **kwargs)
        self.is_new = channel is None
        self.config_names = [field.name for field in channels.config_fields(kind)]
        self.fields["severities"].help_text = "None chosen: all."
        for field in channels.config_fields(kind):
            self.fields[f"config_{field.name}"] = forms.CharField(
                label=field.label,
                help_text=field.help if self.is_new else f"{field.help} Leave empty to keep what is stored.".strip(),
                required=self.is_new and field.required,
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )
        self.order_fields(["name", *(f"config_{name}" for name in self.config_names), "severities"])

    @property
    def config(self) -> dict[str, Any] | None:
        """The configuration that was typed; None keeps the stored one."""
        typed = {name: self.cleaned_data[f"config_{name}"].strip() for name in self.config_names}
        return typed if self.is_new or any(typed.values()) else None

    def take_errors(self, error: ConfigInvalid) -> None:
        """What the transport says, under its field."""
        for name, text in error.errors.items():
            field = f"config_{name}" if name in self.config_names else name
            self.add_error(field if field in self.fields else None, text)


class RunbookForm(forms.Form):
    """A runbook's text; title and slug for a new one only."""

    title = forms.CharField(max_length=200)
    slug = forms.SlugField(max_length=100, label="Address", help_text="Its part of the URL, such as slow-provider.")
    text = forms.CharField(
        max_length=200_000,
        strip=False,
        label="Text, in Markdown",
        widget=forms.Textarea(attrs={"rows": 26, "class": "mono"}),
    )

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_new:
            del self.fields["title"], self.fields["slug"]

    def clean_slug(self) -> str:
        """Free."""
        slug = str(self.cleaned_data["slug"])
        if slug == "new" or Runbook.objects.filter(slug=slug).exists():
            raise forms.ValidationError("This address is taken.")
        return slug
