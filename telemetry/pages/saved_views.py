"""Searches of traces and logs that a workspace's operators keep for all who see it."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from core.accounts import permissions
from core.accounts.ownership import OwnerField, changer_of, owned
from core.accounts.permissions import Person
from core.audit.record import record, record_change, snapshot
from telemetry.models import SavedView

AUDITED = ("page", "name", "query")
# What of a page's address makes a view.
KEPT = ("q", "range", "from", "to", "workspace", "sort")
MAX_VIEWS = 100  # of an owner and page


def kept_query(query: str) -> str:
    """What of a page's address makes a view."""
    given, found = QueryDict(query.removeprefix("?")), QueryDict(mutable=True)
    for name in KEPT:
        if given.getlist(name):
            found.setlist(name, given.getlist(name))
    return found.urlencode()


def views_of(page: str, slugs: frozenset[str] | None) -> QuerySet[SavedView]:
    """The views of a page that a reader of these workspaces (None: all) sees."""
    return SavedView.objects.filter(owned(slugs), page=page).select_related("workspace")


def save_view(view: SavedView) -> SavedView:
    """Store a checked view."""
    old = SavedView.objects.filter(pk=view.pk).first()
    with transaction.atomic():
        view.save()
        if old is None:
            record("created", view, after=snapshot(view, AUDITED))
        else:
            record_change(view, snapshot(old, AUDITED), snapshot(view, AUDITED))
    return view


def delete_view(view: SavedView) -> None:
    """Forget a view."""
    with transaction.atomic():
        record("deleted", view, before=snapshot(view, AUDITED))
        view.delete()


class ViewForm(forms.ModelForm):  # type: ignore[type-arg]  # Django takes no subscript at run time
    """A search as an operator names it. One of the same name is replaced."""

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["workspace"] = OwnerField(user)

    def clean(self) -> dict[str, Any]:
        """A name is there once for each owner and page."""
        given = super().clean() or {}
        given["query"] = kept_query(given.get("query", ""))
        same = SavedView.objects.filter(workspace=given.get("workspace"), page=given.get("page", ""))
        if not self.errors and not same.filter(name=given["name"]).exists() and same.count() >= MAX_VIEWS:
            self.add_error("name", f"There are {MAX_VIEWS} views already: forget one first.")
        self.instance = same.filter(name=given.get("name", "")).first() or SavedView(workspace=given.get("workspace"))
        return given

    class Meta:
        model = SavedView
        fields: ClassVar[list[str]] = ["page", "name", "query"]


def shared(request: HttpRequest, page: str) -> dict[str, object]:
    """What the menu of saved views shows: those of the reader's workspaces, and whom this search may be
    shared with."""
    changer = changer_of(request.user)
    found = views_of(page, permissions.scope_of(request.user, {}).slugs)
    return {
        "page_name": page,
        "shared_views": [(view, changer.may(view.workspace_id)) for view in found[: 10 * MAX_VIEWS]],
        "view_owner": OwnerField(request.user) if permissions.may_operate(request.user) else None,
        "view_query": kept_query(request.GET.urlencode()),
    }


@login_required
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Share a search by a name."""
    if not permissions.may_operate(request.user):
        raise PermissionDenied
    form = ViewForm(request.POST, user=request.user)
    if not form.is_valid():
        why = " ".join(str(text) for errors in form.errors.values() for text in errors)
        messages.error(request, f"The view was not saved. {why}")
        return redirect("logs" if request.POST.get("page") == "logs" else "traces")
    view = save_view(form.save(commit=False))
    whose = view.workspace.slug if view.workspace else "everybody"
    messages.success(request, f"The view {view.name} is shared with {whose}.")
    return redirect(f"{reverse(view.page)}?{view.query}")


@login_required
@require_POST
def delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Forget a shared search."""
    slugs = permissions.scope_of(request.user, {}).slugs
    view = SavedView.objects.filter(owned(slugs), pk=view_id).first()
    if view is None:
        raise Http404("No such view.")
    changer_of(request.user).require(view.workspace_id)
    delete_view(view)
    messages.success(request, f"The view {view.name} is gone.")
    return redirect(f"{reverse(view.page)}?{view.query}")
