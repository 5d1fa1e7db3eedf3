"""The buttons that start and stop demo traffic."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from core.accounts import permissions
from usage.samples import demo


@require_POST
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Start demo traffic and show it."""
    demo.start(operator(request), timezone.now())
    messages.success(
        request, "Demo traffic runs for an hour, in the workspace “demo”. Alert rules judge it like any other."
    )
    return redirect(f"/?workspace={demo.SLUG}&range=1h")


@require_POST
@login_required
def stop(request: HttpRequest) -> HttpResponse:
    """Stop demo traffic."""
    operator(request)
    if demo.stop(timezone.now()):
        messages.success(request, "Demo traffic has stopped.")
    return redirect("overview")


def operator(request: HttpRequest) -> User:
    """Who asks, where that is an operator; a stranger gets 404."""
    if not isinstance(request.user, User) or not permissions.may_operate(request.user):
        raise Http404
    return request.user
