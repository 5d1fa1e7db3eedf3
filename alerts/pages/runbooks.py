"""Pages of runbooks: what we know, its editor and its history."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import queries
from alerts.models import Runbook, RunbookVersion
from alerts.pages.forms import RunbookForm
from alerts.runbooks import edits
from alerts.runbooks import html as runbook_html
from alerts.runbooks.folder import FOLDER, is_from_folder, require_editable
from core.accounts import ownership, permissions
from core.api.editions import Outdated, editing
from core.api.managed import file_of
from core.ui.htmx import is_partial

START = """## What this means


## Confirm
- [ ]

## Likely causes
-

## Do
1.

## Escalate

"""


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every runbook."""
    context = {
        "runbooks": queries.runbook_list(permissions.scope_of(request.user, {}).slugs),
        "may_operate": permissions.may_operate(request.user),
    }
    return render(request, "alerts/runbooks.html", context)


def find(
    request: HttpRequest, slug: str, number: int | None = None, *, to_change: bool = False
) -> queries.RunbookDetail:
    """The runbook. Raises Http404 for a stranger to it, PermissionDenied where it is `to_change` and the person may
    not."""
    try:
        found = queries.runbook_detail(slug, number, permissions.scope_of(request.user, {}).slugs)
    except (Runbook.DoesNotExist, RunbookVersion.DoesNotExist):
        raise Http404("No such runbook.") from None
    if to_change:
        ownership.changer_of(request.user).require(found.runbook.workspace_id)
        require_editable(found.runbook)
    return found


@login_required
@require_GET
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """A runbook; `version` shows an older text."""
    number = request.GET.get("version", "")
    found = find(request, slug, int(number) if number.isdecimal() and len(number) < 9 else None)
    file = file_of(found.runbook)
    context = {
        "found": found,
        "html": runbook_html.render(found.version.text),
        "is_newest": found.version.number == found.versions[0].number,
        "may_operate": ownership.changer_of(request.user).may(found.runbook.workspace_id) and not is_from_folder(file),
        "folder_file": file.removeprefix(FOLDER) if is_from_folder(file) else "",
    }
    return render(request, "alerts/runbook.html", context)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Write a new version. With `preview`, only shows what was typed."""
    found = find(request, slug, to_change=True)
    form = RunbookForm(request.POST or None, initial={"text": found.version.text}, is_new=False, user=request.user)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        text, by = form.cleaned_data["text"], permissions.person_of(request)
        try:
            with editing(found.runbook, request.POST.get("edition", "")):
                saved = edits.save_version(found.runbook, text, by=by, now=timezone.now())
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            messages.success(request, f"Saved as version {saved.number}.")
            return redirect("runbook", slug)
    return show_editor(request, form, found.runbook)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new runbook."""
    form = RunbookForm(request.POST or None, initial={"text": START}, is_new=True, user=request.user)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        given = form.cleaned_data
        runbook = edits.create_runbook(
            given["slug"],
            given["title"],
            given["text"],
            by=permissions.person_of(request),
            now=timezone.now(),
            workspace=given["workspace"],
        )
        messages.success(request, "Created. Choose it in the rules that it is for.")
        return redirect("runbook", runbook.slug)
    return show_editor(request, form, None)


def show_editor(request: HttpRequest, form: RunbookForm, runbook: Runbook | None) -> HttpResponse:
    """The editor with its preview, or for htmx the preview alone."""
    html = runbook_html.render(form["text"].value() or "")
    if is_partial(request):
        return render(request, "alerts/_runbook_preview.html", {"html": html})
    context = {"form": form, "runbook": runbook, "html": html}
    status = 422 if form.is_bound and form.errors and "preview" not in request.POST else 200
    return render(request, "alerts/runbook_edit.html", context, status=status)


@permissions.operator_required
@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Make an older text the newest again."""
    found = find(request, slug, to_change=True)
    version = get_object_or_404(RunbookVersion.objects.select_related("runbook"), runbook=found.runbook, number=number)
    saved = edits.save_version(version.runbook, version.text, by=permissions.person_of(request), now=timezone.now())
    messages.success(request, f"Version {number} is back, as version {saved.number}.")
    return redirect("runbook", slug)
