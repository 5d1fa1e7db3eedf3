"""Forms of schedules, policies and one's own means. They read text; the writes of this package check it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth.models import User

from alerts.models import Severity
from alerts.oncall.calendars import MAX_CHARACTERS
from alerts.oncall.models import EscalationPolicy, Schedule
from alerts.oncall.policies import MAX_STEPS, targets_for
from core.accounts.models import Workspace
from core.accounts.ownership import OwnerField
from core.accounts.permissions import Person
from core.ui import durations

WEEKDAYS = (
    ("0", "Monday"),
    ("1", "Tuesday"),
    ("2", "Wednesday"),
    ("3", "Thursday"),
    ("4", "Friday"),
    ("5", "Saturday"),
    ("6", "Sunday"),
)
DATE = forms.DateInput(attrs={"type": "date"})
TIME = {"type": "time"}


class SpanField(forms.CharField):
    """A span of time as people write it; seconds."""

    def clean(self, value: object) -> int:
        """Read it; nothing is 0."""
        text = str(super().clean(value) or "0")
        try:
            return durations.parse(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class PeopleField(forms.CharField):
    """Accounts by their names, in the order in which they take turns."""

    def __init__(self, eligible: Any, **kwargs: Any) -> None:
        super().__init__(max_length=2000, **kwargs)
        self.eligible = eligible

    def clean(self, value: object) -> list[User]:
        """The accounts."""
        text = str(super().clean(value))
        names = [name.strip().removeprefix("@") for name in text.replace("\n", ",").split(",") if name.strip()]
        known = {person.get_username(): person for person in self.eligible.filter(username__in=names)}
        if unknown := [name for name in names if name not in known]:
            raise forms.ValidationError(f"{unknown[0]} is nobody who can be on call here.")
        return [known[name] for name in names]


class ScheduleForm(forms.Form):
    """A schedule without its rotations."""

    name = forms.CharField(max_length=100, help_text="As messages call it, such as support.")
    time_zone = forms.CharField(
        max_length=64, initial="UTC", help_text="Such as Europe/Berlin: handovers keep their hour there."
    )
    calendar = forms.CharField(
        max_length=MAX_CHARACTERS,
        required=False,
        label="Calendar",
        help_text="The text of an iCalendar file (.ics), if people are on call by one: each event names somebody, by "
        "an attendee's mail address or in its title. It comes before rotations.",
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, user: Person, schedule: Schedule | None = None, **kwargs: Any) -> None:
        if schedule is not None:
            names = ("name", "time_zone", "calendar")
            kwargs.setdefault("initial", {name: getattr(schedule, name) for name in names})
        super().__init__(*args, **kwargs)
        if schedule is None:
            self.fields["workspace"] = OwnerField(user)


class RotationForm(forms.Form):
    """Who follows whom, and when."""

    first_day = forms.DateField(widget=DATE)
    handover = forms.TimeField(initial="09:00", widget=forms.TimeInput(attrs=TIME))
    shift_days = forms.IntegerField(min_value=1, max_value=366, initial=7, label="Days of a shift")
    weekdays = forms.TypedMultipleChoiceField(
        choices=WEEKDAYS, coerce=int, required=False, widget=forms.CheckboxSelectMultiple, label="Only on"
    )
    begins = forms.TimeField(required=False, label="Only from", widget=forms.TimeInput(attrs=TIME))
    ends = forms.TimeField(required=False, label="to", widget=forms.TimeInput(attrs=TIME))

    def __init__(self, *args: Any, eligible: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["people"] = PeopleField(
            eligible, label="People", help_text="Names of accounts, separated by commas, in the order of their turns."
        )
        self.order_fields(["people"])


class OverrideForm(forms.Form):
    """Somebody else, for a while; times are of the schedule's zone."""

    starts_at = forms.DateTimeField(label="From", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    ends_at = forms.DateTimeField(label="Until", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))

    def __init__(self, *args: Any, schedule: Schedule, eligible: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(schedule.time_zone)
        self.fields["person"] = forms.ModelChoiceField(eligible, label="Who")
        self.order_fields(["person"])

    def moment(self, name: str) -> dt.datetime:
        """One of its times."""
        at: dt.datetime = self.cleaned_data[name]
        return at.replace(tzinfo=self.zone)


class PolicyForm(forms.Form):
    """A policy with up to ten steps; a step without targets is left out."""

    name = forms.CharField(max_length=100, help_text="As messages and the routing call it, such as support.")

    def __init__(self, *args: Any, user: Person, policy: EscalationPolicy, is_new: bool, **kwargs: Any) -> None:
        kwargs.setdefault("initial", initial_of(policy))
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["workspace"] = OwnerField(user)
        groups: dict[str, list[tuple[str, str]]] = {}
        for target, group, name in targets_for(policy):
            groups.setdefault(group, []).append((target, name))
        self.numbers = range(1, min(len(policy.steps or []) + 3, MAX_STEPS) + 1)
        for number in self.numbers:
            self.fields[f"targets_{number}"] = forms.MultipleChoiceField(
                choices=list(groups.items()),
                required=False,
                label=f"Step {number} notifies",
                widget=forms.SelectMultiple(attrs={"size": 6}),
            )
            label = "after the first message" if number == 1 else f"after step {number - 1}"
            self.fields[f"delay_{number}"] = SpanField(max_length=20, required=False, label=f"this long {label}")
            self.fields[f"severities_{number}"] = forms.MultipleChoiceField(
                choices=Severity.choices, required=False, widget=forms.CheckboxSelectMultiple, label="for"
            )
        self.fields["repeats"] = forms.IntegerField(
            min_value=0, max_value=5, initial=0, label="Repeats", help_text="How often all steps are taken again."
        )
        self.fields["repeat_seconds"] = SpanField(max_length=20, label="Pause before a repeat")
        self.fields["acknowledged_for_seconds"] = SpanField(
            max_length=20,
            required=False,
            label="An acknowledgement holds for",
            help_text="What still fires then begins anew. 0: it holds to the end.",
        )
        self.fields["without_tree"] = forms.BooleanField(
            required=False, label="Take it for every incident while no routing tree is saved"
        )

    @property
    def owner(self) -> Workspace | None:
        """Whose a new policy is."""
        found: Workspace | None = self.cleaned_data.get("workspace")
        return found

    @property
    def chosen(self) -> dict[str, Any]:
        """The policy's fields."""
        given = self.cleaned_data
        names = ("name", "repeats", "repeat_seconds", "acknowledged_for_seconds", "without_tree")
        steps = [
            {
                "delay_seconds": given[f"delay_{number}"],
                "severities": given[f"severities_{number}"],
                "targets": given[f"targets_{number}"],
            }
            for number in self.numbers
            if given[f"targets_{number}"]
        ]
        return {**{name: given[name] for name in names}, "steps": steps}


def initial_of(policy: EscalationPolicy) -> dict[str, Any]:
    """What the form of a policy begins with."""
    found: dict[str, Any] = {
        "name": policy.name,
        "repeats": policy.repeats,
        "repeat_seconds": durations.format_short(policy.repeat_seconds),
        "acknowledged_for_seconds": durations.format_short(policy.acknowledged_for_seconds),
        "without_tree": policy.without_tree,
    }
    for number, step in enumerate(policy.steps or [], 1):
        found[f"delay_{number}"] = durations.format_short(step["delay_seconds"])
        found[f"severities_{number}"] = step["severities"]
        found[f"targets_{number}"] = step["targets"]
    return found


class MeansForm(forms.Form):
    """When one's own channel is used; what it needs is asked for by the form of channels."""

    delay_seconds = SpanField(max_length=20, required=False, label="This long after the step", initial="0")
