"""Attempts to sign in: under what they are counted, so that guessing is slow and nobody can lock somebody else out.

A browser in which somebody signed in before keeps a signed cookie, and its attempts at that account are counted apart
(OWASP's device cookies). All others count for the account at their address, and for the address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

COOKIE = "known_browser"
SALT = "portal.people.attempts"
LASTS = timedelta(days=180)


def remember_browser(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Let the browser be known as one in which the person signs in."""
    if _browser_of(request, user.pk):
        return
    value = signing.dumps([user.pk, get_random_string(16)], salt=SALT)
    response.set_cookie(
        COOKIE,
        value,
        max_age=LASTS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def network_of(address: str) -> str:
    """The address, or of IPv6 the first of its /64; what is no address stays as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False).network_address)


def counted_as(request: HttpRequest, credentials: Mapping[str, Any], address: str) -> tuple[str, str]:
    """The action of ACCOUNT_RATE_LIMITS and the key under which an attempt with these credentials is counted."""
    login = str(credentials.get("email") or credentials.get("username") or "").lower()
    if request.COOKIES.get(COOKIE):
        user = User.objects.filter(Q(username__iexact=login) | Q(email__iexact=login)).only("pk").first()
        browser = _browser_of(request, user.pk) if user else ""
        if browser:
            return "login_failed_known_browser", browser
    return "login_failed", f"{address} {login}"


def _browser_of(request: HttpRequest, user_id: int) -> str:
    """The id of a browser in which the person signed in before; empty for others."""
    try:
        owner, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if owner == user_id else ""
