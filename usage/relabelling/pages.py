"""The form of a rule of labels, with what it would have made of the last day."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from core.accounts import ownership, permissions
from core.accounts.ownership import OwnerField
from core.accounts.permissions import Person
from core.api.editions import Outdated, editing
from usage.models import LabelRule
from usage.relabelling.applying import Relabel
from usage.relabelling.edits import delete_label_rule, problems, save_label_rule
from usage.relabelling.preview import preview


class LabelRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A rule as an operator types it."""

    keep = forms.IntegerField(
        min_value=1, max_value=200, initial=1, help_text="How many characters or segments; for “keep the first …”."
    )

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.fields["workspace"] = OwnerField(user)

    def clean(self) -> dict[str, Any]:
        """A rule that can be applied."""
        given = super().clean() or {}
        self.instance.workspace = given.get("workspace", self.instance.workspace)
        for name, value in given.items():
            setattr(self.instance, name, value)
        if not self.errors:
            for name, text in problems(self.instance).items():
                self.add_error(name, text)
        return given

    class Meta:
        model = LabelRule
        fields: ClassVar[list[str]] = ["kind", "label", "regex", "action", "replacement", "keep", "separator"]


def rules_seen(scope: permissions.Scope) -> list[LabelRule]:
    """The rules that a reader sees."""
    return list(LabelRule.objects.filter(ownership.owned(scope.slugs)).select_related("workspace"))


@login_required
@require_http_methods(["GET", "POST"])
def save(request: HttpRequest, label_rule_id: int | None = None) -> HttpResponse:
    """The form of a new or an existing rule; `kind` and `label` of the URL fill a new one. With `preview` nothing is
    saved."""
    if not permissions.may_operate(request.user):
        raise PermissionDenied
    rule = _own(request, label_rule_id) if label_rule_id else None
    initial = {name: request.GET[name] for name in ("kind", "label") if name in request.GET and rule is None}
    form = LabelRuleForm(request.POST or None, instance=rule, initial=initial, user=request.user)
    shown = None
    if request.method == "POST" and form.is_valid():
        typed = form.save(commit=False)
        if "preview" in request.POST:
            slugs = permissions.scope_of(request.user, {}).slugs
            shown = preview(Relabel.of(typed), slugs, timezone.now())
        else:
            try:
                with editing(typed, request.POST.get("edition", "")):
                    save_label_rule(typed, by=permissions.person_of(request))
            except Outdated as outdated:
                form.add_error(None, str(outdated))
            else:
                messages.success(request, f"Records that arrive from now on take it: {typed}.")
                return redirect("ingestion")
    context = {"form": form, "rule": rule, "preview": shown}
    return render(request, "usage/label_rule_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def delete(request: HttpRequest, label_rule_id: int) -> HttpResponse:
    """Forget a rule."""
    rule = _own(request, label_rule_id)
    delete_label_rule(rule, by=permissions.person_of(request))
    messages.success(request, f"The rule is gone: {rule}. Label sets that it made stay.")
    return redirect("ingestion")


def _own(request: HttpRequest, label_rule_id: int) -> LabelRule:
    """The rule. Raises Http404 for a stranger to it, PermissionDenied where the person may not change it."""
    visible = ownership.owned(permissions.scope_of(request.user, {}).slugs)
    rule = get_object_or_404(LabelRule.objects.filter(visible).select_related("workspace"), pk=label_rule_id)
    ownership.changer_of(request.user).require(rule.workspace_id)
    return rule
