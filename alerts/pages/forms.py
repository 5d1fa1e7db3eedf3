"""Forms of the history's filters, of channels and of runbooks. They read text; alerts.notify.channels and
alerts.runbooks.edits write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django import forms

from alerts.models import Channel, Rule, Runbook, Severity, State
from alerts.notify import channels
from alerts.notify.transports.contract import ConfigInvalid
from alerts.queries import HistoryFilter
from alerts.rules.fields import SpanField
from core.accounts.ownership import OwnerField, owned
from core.accounts.permissions import Person


class HistoryForm(forms.Form):
    """The filters of the history, as in the URL."""

    rule = forms.ModelChoiceField(Rule.objects.none(), required=False, empty_label="all rules")
    severity = forms.ChoiceField(choices=[("", "all severities"), *Severity.choices], required=False)
    state = forms.ChoiceField(
        choices=[("", "all states"), (State.FIRING, "firing"), (State.RESOLVED, "resolved")], required=False
    )
    text = forms.CharField(
        required=False, max_length=200, widget=forms.TextInput(attrs={"placeholder": "words or label=value"})
    )

    def __init__(self, *args: Any, workspaces: Collection[str] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["rule"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = Rule.objects.filter(owned(workspaces)).order_by("name")

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
        max_length=100, label="Name", help_text="As it appears in messages and timelines, such as #llm-oncall."
    )
    severities = forms.MultipleChoiceField(
        choices=Severity.choices, required=False, widget=forms.CheckboxSelectMultiple, label="Severities"
    )
    send_resolved = forms.BooleanField(required=False, initial=True, label="Also notify when an alert resolves")
    enabled = forms.BooleanField(required=False, initial=True, label="Enabled")
    rate_limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=channels.MAX_RATE,
        label="Messages at most",
        help_text="What is more waits, and goes as one digest. Empty: each message goes at once.",
    )
    rate_seconds = SpanField(required=False, label="in", initial="10m")

    def __init__(self, *args: Any, kind: str, user: Person, channel: Channel | None = None, **kwargs: Any) -> None:
        if channel is not None:
            names = ("name", "severities", "send_resolved", "enabled", "rate_limit", "rate_seconds")
            kwargs.setdefault("initial", {name: getattr(channel, name) for name in names})
        super().__init__(*args, **kwargs)
        self.is_new = channel is None
        if kind in channels.WITHOUT_DIGEST:
            self.fields["rate_limit"].disabled = True
            self.fields["rate_limit"].help_text = "Each incident is an item of its own there, so there is no digest."
        self.config_names = [field.name for field in channels.config_fields(kind)]
        self.fields["severities"].help_text = "Which alerts are sent to the channel. None chosen: all."
        for field in channels.config_fields(kind):
            self.fields[f"config_{field.name}"] = forms.CharField(
                label=field.label,
                help_text=field.help if self.is_new else f"{field.help} Leave empty to keep what is stored.".strip(),
                required=self.is_new and field.required,
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )
        if self.is_new:
            self.fields["workspace"] = OwnerField(user)
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

    def __init__(self, *args: Any, is_new: bool, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["workspace"] = OwnerField(user)
            self.order_fields(["title", "slug", "workspace", "text"])
        else:
            del self.fields["title"], self.fields["slug"]

    def clean_slug(self) -> str:
        """Free."""
        slug = str(self.cleaned_data["slug"])
        if slug == "new" or Runbook.objects.filter(slug=slug).exists():
            raise forms.ValidationError("This address is taken.")
        return slug
