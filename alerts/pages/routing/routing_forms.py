"""Forms of silences and of the routing tree."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.safestring import mark_safe

from alerts.oncall.forms import WEEKDAYS
from alerts.routing.configuration import BYTES
from alerts.routing.matchers import MatcherError, Matchers, parse_matchers
from alerts.silencing.recurring import make_weekly
from alerts.silencing.weekly import Weekly

EXTEND = dt.timedelta(hours=2)
SPANS = (("1", "1 hour"), ("2", "2 hours"), ("8", "8 hours"), ("24", "a day"), ("72", "3 days"), ("168", "a week"))


class MatchersField(forms.CharField):
    """Matchers as people write them."""

    def clean(self, value: object) -> Matchers:
        """Read; the error of the parser is the field's."""
        text = str(super().clean(value))
        try:
            return parse_matchers(text)
        except MatcherError as error:
            raise forms.ValidationError(str(error)) from None


class SilenceForm(forms.Form):
    """What, for how long, and why."""

    matchers = MatchersField(
        max_length=5000,
        help_text=mark_safe(
            'As in Alertmanager: <code>alertname=HighProviderCost, model=~"gpt.*"</code>. All of them must match.'
        ),
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    hours = forms.ChoiceField(choices=SPANS, label="For")
    comment = forms.CharField(max_length=1000, label="Why", widget=forms.TextInput)

    @property
    def span(self) -> dt.timedelta:
        """How long it lasts."""
        return dt.timedelta(hours=int(self.cleaned_data["hours"]))


class RecurringSilenceForm(forms.Form):
    """What, in which windows of every week, and why."""

    matchers = MatchersField(
        max_length=4000,
        help_text="As of a silence: all of them must match.",
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    weekdays = forms.TypedMultipleChoiceField(
        choices=WEEKDAYS, coerce=int, widget=forms.CheckboxSelectMultiple, label="Begins on"
    )
    begins = forms.TimeField(label="From", widget=forms.TimeInput(attrs={"type": "time"}))
    ends = forms.TimeField(
        label="To", widget=forms.TimeInput(attrs={"type": "time"}), help_text="Not later than its start: the next day."
    )
    time_zone = forms.CharField(
        max_length=64, initial="UTC", help_text="Such as Europe/Berlin: it keeps its hours on the clocks there."
    )
    last_day = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: it comes again until somebody removes it.",
    )
    comment = forms.CharField(max_length=1000, label="Why", widget=forms.TextInput)

    def weekly(self) -> Weekly:
        """When it holds. SilenceError says what is wrong."""
        given = self.cleaned_data
        return make_weekly(given["weekdays"], given["begins"], given["ends"], given["time_zone"], given["last_day"])


class RoutingForm(forms.Form):
    """The routing as an Alertmanager configuration file."""

    text = forms.CharField(
        max_length=BYTES,
        strip=False,
        label="Configuration",
        help_text="The format of Alertmanager's configuration file. Its receivers become channels; a channel that is "
        "there is named by portal_configs: [{channel: its name}].",
        widget=forms.Textarea(attrs={"rows": 32, "class": "mono", "spellcheck": "false"}),
    )


class BranchForm(RoutingForm):
    """The branch of a workspace."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].help_text = (
            "`route` and `receivers` of an Alertmanager configuration. A receiver names channels, and escalation"
            " policies, of the workspace or of the whole portal: portal_configs: [{channel: its name},"
            " {escalation: its name}]. Time intervals are the portal's."
        )
