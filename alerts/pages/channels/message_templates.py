"""Pages of message templates: what messages say, with a live preview on alerts of the past."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts.models import Channel, MessageTemplate
from alerts.notify import template_edits
from alerts.notify.models import MAX_TEXT, MAX_TITLE
from core.accounts import ownership, permissions
from core.accounts.permissions import Person
from core.api.editions import Outdated, editing
from core.ui.htmx import is_partial

START_TITLE = "{{ .Title }}"
START_TEXT = """\
{{ .Description }}
{{ range .Alerts.Firing }}
- {{ range $name, $value := .Labels }}{{ $name }}={{ $value }} {{ end }}{{ end }}"""


class TemplateForm(forms.Form):
    """What it is for, and what it says."""

    kind = forms.ChoiceField(
        choices=[("", "every kind"), *Channel.Kind.choices], required=False, label="For channels of kind"
    )
    title = forms.CharField(
        max_length=MAX_TITLE,
        required=False,
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Empty: the portal's own title.",
    )
    text = forms.CharField(
        max_length=MAX_TEXT,
        required=False,
        strip=False,
        help_text="Empty: the portal's own text. Value, times, labels and links stand below it as ever.",
        widget=forms.Textarea(attrs={"rows": 16, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, user: Person, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["workspace"] = ownership.OwnerField(user)
            self.fields["workspace"].help_text = "Its channels use it; one of a workspace comes before the portal's."
            self.order_fields(["workspace", "kind", "title", "text"])
        else:
            del self.fields["kind"]


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every template that the reader sees."""
    slugs = permissions.scope_of(request.user, {}).slugs
    found = MessageTemplate.objects.filter(ownership.owned(slugs)).select_related("workspace")
    rows = [{"template": one, "kind": kind_label(one.kind)} for one in found.order_by("workspace__slug", "kind")]
    context = {
        "rows": rows,
        "changer": ownership.changer_of(request.user),
        "may_operate": permissions.may_operate(request.user),
    }
    return render(request, "alerts/message_templates.html", context)


def kind_label(kind: str) -> str:
    """A kind of channel as people call it."""
    return str(Channel.Kind(kind).label) if kind else "Every kind of channel"


def find(request: HttpRequest, template_id: int) -> MessageTemplate:
    """The template, to change it. Raises Http404 for a stranger to it, PermissionDenied for who may not."""
    visible = MessageTemplate.objects.filter(ownership.owned(permissions.scope_of(request.user, {}).slugs))
    template = get_object_or_404(visible.select_related("workspace"), pk=template_id)
    ownership.changer_of(request.user).require(template.workspace_id)
    return template


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new template."""
    initial = {"title": START_TITLE, "text": START_TEXT}
    form = TemplateForm(request.POST or None, initial=initial, user=request.user, is_new=True)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        given = form.cleaned_data
        try:
            template_edits.create_template(given["kind"], given["title"], given["text"], workspace=given["workspace"])
        except template_edits.TemplateInvalid as error:
            take_errors(form, error)
        else:
            messages.success(request, "Messages read so from now on.")
            return redirect("message-templates")
    return show_editor(request, form, None)


@permissions.operator_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, template_id: int) -> HttpResponse:
    """Change one. With `preview`, only shows how it would read."""
    template = find(request, template_id)
    initial = {"title": template.title, "text": template.text}
    form = TemplateForm(request.POST or None, initial=initial, user=request.user, is_new=False)
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        given = form.cleaned_data
        try:
            with editing(template, request.POST.get("edition", "")):
                template_edits.update_template(template, title=given["title"], text=given["text"])
        except template_edits.TemplateInvalid as error:
            take_errors(form, error)
        except Outdated as outdated:
            form.add_error(None, str(outdated))
        else:
            messages.success(request, "Messages read so from now on.")
            return redirect("message-templates")
    return show_editor(request, form, MessageTemplate.objects.select_related("workspace").get(pk=template_id))


@permissions.operator_required
@require_POST
def delete(request: HttpRequest, template_id: int) -> HttpResponse:
    """Go back to the portal's own words."""
    template_edits.delete_template(find(request, template_id))
    messages.success(request, "The template was removed: messages read as the portal writes them.")
    return redirect("message-templates")


def take_errors(form: TemplateForm, error: template_edits.TemplateInvalid) -> None:
    """What is wrong, under its field."""
    for name, text in error.errors.items():
        form.add_error(name if name in form.fields else None, text)


def show_editor(request: HttpRequest, form: TemplateForm, template: MessageTemplate | None) -> HttpResponse:
    """The editor with its preview, or for htmx the preview alone."""
    slugs = permissions.scope_of(request.user, {}).slugs
    past = template_edits.past_alerts(slugs)
    wanted = request.POST.get("alert", "")
    alert = next((one for one in past if str(one.pk) == wanted), past[0] if past else None)
    grouped = "grouped" in request.POST
    title, text = str(form["title"].value() or ""), str(form["text"].value() or "")
    shown = template_edits.preview(title, text, alert, slugs, timezone.now(), grouped=grouped) if alert else None
    context = {
        "form": form,
        "template": template,
        "kind": kind_label(template.kind) if template else "",
        "past": past,
        "chosen": alert,
        "grouped": grouped,
        "preview": shown,
    }
    if is_partial(request):
        return render(request, "alerts/_message_preview.html", context)
    status = 422 if form.is_bound and form.errors and "preview" not in request.POST else 200
    return render(request, "alerts/message_template_edit.html", context, status=status)
