"""Keys: who may send, and do they?"""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from core.accounts import permissions
from core.accounts.confirmation import confirmed
from core.accounts.keys import KeyRefused, create_key, revoke_key
from usage.pages import ingestion_queries
from usage.pages.forms import KeyForm


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every key of the reader's workspaces, with what it sent in the last day."""
    scope = permissions.scope_of(request.user, request.GET)
    own = (None,) if permissions.is_superuser(request.user) else ()
    context = {
        "scope": scope,
        "uses": ingestion_queries.keys_with_use(scope.slugs, timezone.now()),
        "operated": {*permissions.operated(request.user).values_list("pk", flat=True), *own},
        "key_rate": settings.PORTAL.key_rate,
    }
    return render(request, "usage/api_keys.html", context)


@permissions.operator_required
@never_cache
@require_http_methods(["GET", "POST"])
@confirmed
def new(request: HttpRequest) -> HttpResponse:
    """A new key; its plaintext is shown in the answer, once."""
    person = permissions.person_of(request)
    form = KeyForm(
        request.POST or None, workspaces=permissions.operated(person), may_take_all=permissions.is_superuser(person)
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            key, plaintext = create_key(
                given["name"],
                given["workspace"],
                given["scopes"],
                expires_at=form.expires_at(timezone.now()),
                rate=given["rate"],
                created_by=person,
            )
        except KeyRefused as refused:
            form.add_error(None, str(refused))
        else:
            context = {"key": key, "plaintext": plaintext, "base_url": settings.PORTAL.public_url}
            return render(request, "usage/api_key_made.html", context, status=201)
    return render(request, "usage/api_key_new.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask, then refuse the key from now on."""
    key = permissions.keys_seen(request.user).filter(pk=key_id).first()
    if key is None:
        raise Http404("No such key.")
    if not permissions.may_change_key(request.user, key):
        raise PermissionDenied("This needs an operator of its workspace.")
    if request.method == "POST":
        revoke_key(key, timezone.now())
        messages.success(request, f"{key.name} is revoked; its requests are refused from now on.")
        return redirect("keys")
    return render(request, "usage/api_key_revoke.html", {"key": key})
