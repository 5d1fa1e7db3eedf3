"""Signing in with a one-time password leads to changing it, and nowhere else before that is done."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy

from core.audit.record import record
from portal.models import OneTimePassword


class ChangePassword(PasswordChangeView):
    """The form; the one-time password is over when it was changed."""

    template_name = "portal/password_change.html"
    success_url = reverse_lazy("overview")

    def get_form_class(self) -> Any:
        """Who has just signed in with a one-time password is not asked for it again."""
        return SetPasswordForm if must_change(self.request) else PasswordChangeForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether it must be changed now, which the page explains."""
        return super().get_context_data(must_change=must_change(self.request), **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, then lift the constraint."""
        answer = super().form_valid(form)
        OneTimePassword.objects.filter(pk=form.user.pk).delete()
        record("changed the password of", form.user)
        return answer


class OneTimePasswordMiddleware:
    """Sends a person whose password is a one-time password to the form that changes it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if must_change(request) and request.path not in (reverse("password_change"), reverse("logout")):
            return redirect("password_change")
        return self.get_response(request)


def must_change(request: HttpRequest) -> bool:
    """Whether the signed-in person's password is still the one-time one; without a session cookie nobody is asked
    for."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
        return False
    return OneTimePassword.objects.filter(pk=request.user.pk).exists()
