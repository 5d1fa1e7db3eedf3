"""Changes of people and keys ask who is signed in to confirm that it is still them, unless they did so within the last
minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the person signed in or confirmed it within ACCOUNT_REAUTHENTICATION_TIMEOUT.

    Who has no password, second factor or provider was signed in by a reverse proxy, which alone can ask again: always
    confirmed.
    """
    user = request.user
    if not isinstance(user, User):
        return False
    records = get_authentication_records(request, user)
    if records and time.time() - max(one["at"] for one in records) < app_settings.REAUTHENTICATION_TIMEOUT:
        return True
    return not get_reauthentication_flows(user) and not providers_of(user)


def providers_of(user: User | AnonymousUser) -> list[str]:
    """The ids of the OpenID providers by which the person signs in."""
    return list(
        SocialAccount.objects.filter(user_id=user.pk).order_by("-last_login").values_list("provider", flat=True)
    )


def confirmed(view: View[Arguments]) -> View[Arguments]:
    """A view whose POST needs that; its other methods do not. allauth's middleware asks, and sends the POST on
    afterwards."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
        if request.method == "POST" and not is_confirmed(request):
            raise ReauthenticationRequired
        return view(request, *args, **kwargs)

    return guarded
