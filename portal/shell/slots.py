"""Heavy requests take turns (core.heavy)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from core.heavy import BusyError, Slots, give_back, is_heavy

RETRY_SECONDS = 2
SAID = "Too many queries are being answered at once; try again in some seconds."


class SlotsMiddleware:
    """Runs heavy views in a slot; answers 503 with Retry-After where there is none. The last middleware, since it
    calls the view itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.slots = Slots.of(settings.PORTAL.web_threads)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The view's answer, if it is heavy."""
        if not is_heavy(view):
            return None
        try:
            with self.slots.taken():
                try:
                    return view(request, *args, **kwargs)
                finally:
                    give_back()
        except BusyError:
            return busy(request)


def busy(request: HttpRequest) -> HttpResponse:
    """The answer to who has to come back: a page to a browser, else JSON that charts and clients of the API read."""
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        response = HttpResponse(render_to_string("busy.html"), status=HTTPStatus.SERVICE_UNAVAILABLE)
    else:
        body = {"status": "error", "errorType": "unavailable", "error": SAID}
        response = JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response
