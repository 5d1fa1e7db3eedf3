"""Signing in by the header of a reverse proxy, taken from the addresses of PORTAL_PROXY_ADDRESSES only."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from core.audit.record import record

BACKEND = "django.contrib.auth.backends.ModelBackend"
SESSION = "signed_in_by_proxy"


class ProxySignInMiddleware:
    """Who the proxy names is signed in for as long as it does; somebody new gets an account without a role."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.PORTAL.proxy_user_header and not request.path.startswith("/api/"):
            take_over(request)
        return self.get_response(request)


def take_over(request: HttpRequest) -> None:
    """Bring the session in line with the header."""
    name = request.headers.get(settings.PORTAL.proxy_user_header, "") if is_trusted(request) else ""
    if name and name != request.user.get_username():
        user, is_new = User.objects.get_or_create(username=name[:150])
        if is_new:
            user.set_unusable_password()
            user.save()
            record("created", user, after={"by": "the reverse proxy"}, by=user)
        if user.is_active:
            login(request, user, backend=BACKEND)
            request.session[SESSION] = True
            record("signed in", user, by=user)
    elif not name and request.session.get(SESSION):
        logout(request)


def is_trusted(request: HttpRequest) -> bool:
    """Whether the request comes from one of the proxies' addresses."""
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(address in ip_network(one) for one in settings.PORTAL.proxy_addresses)
