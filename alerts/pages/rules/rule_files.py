"""The page that takes rules from a file and gives them as one: first the plan, then the import."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from alerts.exchange import export, plan
from alerts.rules.edits import RuleError
from alerts.rules.groups import GroupError
from core.accounts import ownership, permissions
from core.accounts.ownership import OwnerField
from core.accounts.permissions import Person

FORMATS = {"prometheus": "Prometheus", "vmalert": "vmalert", "grafana": "Grafana provisioning"}


class RuleFileForm(forms.Form):
    """A file or its text, and whose the rules are to be."""

    file = forms.FileField(required=False, label="File")
    text = forms.CharField(
        max_length=plan.MAX_CHARACTERS,
        required=False,
        strip=False,
        label="or its text",
        help_text=(
            "A rule file of Prometheus or vmalert, a provisioning file of Grafana, or rules in the simple format."
        ),
        widget=forms.Textarea(attrs={"rows": 14, "class": "mono", "spellcheck": "false"}),
    )
    partly = forms.BooleanField(required=False, label="Import what is understood, and leave out the rest")

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["workspace"] = OwnerField(user)
        self.order_fields(["workspace", "file", "text", "partly"])

    def clean(self) -> dict[str, Any]:
        """One of the two; a file counts as its text."""
        given = super().clean() or {}
        file = given.get("file")
        if file is not None and file.size > plan.MAX_CHARACTERS:
            self.add_error("file", "is larger than a megabyte")
        elif file is not None:
            try:
                given["text"] = file.read().decode()
            except UnicodeDecodeError:
                self.add_error("file", "is no UTF-8 text")
        if not self.errors and not given.get("text"):
            self.add_error("text", "Choose a file, or paste its text.")
        return given


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show what a file would do, and with `import` do it."""
    form = RuleFileForm(request.POST or None, request.FILES or None, user=request.user)
    context: dict[str, Any] = {"form": form, "formats": FORMATS.items(), "owners": owners(request)}
    if request.method == "POST" and form.is_valid():
        owner, changer = form.cleaned_data["workspace"], ownership.changer_of(request.user)
        if not changer.may(owner.pk if owner is not None else None):
            raise PermissionDenied("Rules are imported by operators of the workspace that they are to belong to.")
        found = plan.plan(plan.read_file(form.cleaned_data["text"], "file"), owner, "file")
        may = form.cleaned_data["partly"] or not found.problems
        if "import" in request.POST and may:
            try:
                by = permissions.person_of(request)
                plan.apply(found, owner, by=by, now=timezone.now(), changes_groups=changer.may(None))
            except (RuleError, GroupError) as error:
                form.add_error(None, str(error))
            else:
                messages.success(
                    request, f"{found.count('new')} rules were created and {found.count('changed')} changed."
                )
                return redirect("rules")
        # The text stays in the form, also where it came from a file.
        shown = RuleFileForm({**request.POST.dict(), "text": form.cleaned_data["text"]}, user=request.user)
        shown.is_valid()
        context |= {"form": shown if not form.errors else form, "plan": found, "may_import": may and found.is_change}
    return render(request, "alerts/rule_files.html", context, status=422 if form.is_bound and form.errors else 200)


@login_required
@require_GET
def download(request: HttpRequest) -> HttpResponse:
    """An owner's rules as a file."""
    form, slug = request.GET.get("format", "prometheus"), request.GET.get("workspace", "")
    if form not in export.WRITERS:
        raise Http404("There is no such format.")
    owner = None
    if slug:
        owner = permissions.visible(request.user).filter(slug=slug).first()
        if owner is None:
            raise Http404("There is no such workspace.")
    text = export.write(export.rules_of(owner), form)
    disposition = f'attachment; filename="rules-{form}.yml"'
    return HttpResponse(text, content_type="application/yaml", headers={"Content-Disposition": disposition})


def owners(request: HttpRequest) -> list[tuple[str, str]]:
    """Slug and name of whom the person may have the rules of; the whole portal first."""
    found = permissions.visible(request.user).order_by("slug")
    return [("", "the whole portal"), *((one.slug, one.name) for one in found)]
