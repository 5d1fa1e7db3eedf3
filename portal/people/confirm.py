"""Confirming that it is still oneself: by password or second factor as allauth asks, or at the OpenID provider by which
one signs in."""

from __future__ import annotations

from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import resume_request
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from core.accounts.confirmation import is_confirmed, providers_of
from portal.people.adapters import provider_of
from portal.people.providers import Provider


@login_required
@never_cache
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Ask, or, once it is confirmed, go on with what was asked for: a POST that was held back is carried out now."""
    wanted = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = reverse("account")
    if is_confirmed(request):
        answer: HttpResponse | None = resume_request(request)
        return answer or redirect(wanted)
    (first, *_) = get_adapter().get_reauthentication_methods(request.user)
    if first["id"] != "provider":
        return redirect(f"{first['url']}?{urlencode({'next': wanted})}")
    providers = [one for one in map(provider_of, providers_of(request.user)) if one is not None]
    context = {"choices": [(one.name, address(one, wanted)) for one in providers]}
    return render(request, "portal/confirm.html", context)


def address(provider: Provider, wanted: str) -> str:
    """Where a form is posted to sign in at the provider again, which is to ask for the password although there is a
    session."""
    back = f"{reverse('confirm')}?{urlencode({'next': wanted})}"
    query = {"process": "redirect", "auth_params": "prompt=login", "next": back}
    return f"{reverse('openid_connect_login', args=[provider.id])}?{urlencode(query)}"
