"""Pages of rule groups: when their rules are evaluated, and what holds for all of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from alerts.models import RuleGroup
from alerts.rules import groups
from alerts.rules.fields import SpanField
from alerts.rules.form import PairsField
from core.accounts import ownership, permissions

FIELDS = ("name", "interval_seconds", "query_offset_seconds", "limit", "labels")


class GroupForm(forms.Form):
    """All that a person may change of a group."""

    name = forms.CharField(max_length=200)
    interval_seconds = SpanField(label="Evaluated every", help_text="5 s to a day; 1m is usual.")
    query_offset_seconds = SpanField(
        required=False,
        label="Looks back by",
        help_text="Its rules see the data of so long ago, for records that come late.",
    )
    limit = forms.IntegerField(
        required=False,
        min_value=0,
        label="At most so many alerts or series per rule",
        help_text="A rule with more fails, and its alerts end. Empty: any number.",
    )
    labels = PairsField(required=False, label="Labels of all its rules, name=text per line")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["labels"].widget.attrs |= {"rows": 2, "class": "mono"}

    @property
    def given(self) -> dict[str, Any]:
        """The fields of a valid form."""
        return {**self.cleaned_data, "limit": self.cleaned_data["limit"] or 0}


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    form = GroupForm(request.POST or None, initial={"interval_seconds": 60})
    if form.is_valid():
        try:
            group = groups.create_group(**form.given)
        except groups.GroupError as error:
            _add_errors(form, error)
        else:
            messages.success(request, f"The group {group.name} was created; rules can be put into it now.")
            return redirect("rules")
    return render(request, "alerts/rule_group.html", {"form": form}, status=422 if form.errors else 200)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, group_id: int) -> HttpResponse:
    """Change a group. Rules of several workspaces may be in it: it is changed by who operates all of them."""
    group = get_object_or_404(RuleGroup, pk=group_id)
    require_portal(request)
    form = GroupForm(
        request.POST or None, initial={**{name: getattr(group, name) for name in FIELDS}, "limit": group.limit or None}
    )
    if form.is_valid():
        try:
            groups.update_group(group, **form.given)
        except groups.GroupError as error:
            _add_errors(form, error)
        else:
            messages.success(request, f"The group {group.name} was saved.")
            return redirect("rules")
    context = {"form": form, "group": group, "rules": group.rules.count()}
    return render(request, "alerts/rule_group.html", context, status=422 if form.errors else 200)


@permissions.operator_required
@require_POST
def delete(request: HttpRequest, group_id: int) -> HttpResponse:
    """Remove a group without rules."""
    group = get_object_or_404(RuleGroup, pk=group_id)
    require_portal(request)
    try:
        groups.delete_group(group)
    except groups.GroupError as error:
        messages.error(request, f"{group.name} {error.errors['name']}.")
        return redirect("rule-group", group.pk)
    messages.success(request, f"The group {group.name} was deleted.")
    return redirect("rules")


def require_portal(request: HttpRequest) -> None:
    """PermissionDenied for who does not operate the whole portal."""
    if not ownership.changer_of(request.user).may(None):
        raise PermissionDenied(
            "Rules of several workspaces may be in a group: it is changed by who operates all of them."
        )


def _add_errors(form: GroupForm, error: groups.GroupError) -> None:
    for name, text in error.errors.items():
        form.add_error(name, text)
