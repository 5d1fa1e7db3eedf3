"""What is answered where a view fails."""

from __future__ import annotations

import sys
from http import HTTPStatus

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from core.pg.breaker import Away, breaker
from usage.ingest import spool

RETRY_SECONDS = 10


def server_error(request: HttpRequest) -> HttpResponse:
    """503 with what still works where Postgres is away, else 500. Django calls it while the exception is being
    handled."""
    if not isinstance(sys.exc_info()[1], (OperationalError, InterfaceError, Away)):
        return HttpResponse(render_to_string("500.html"), status=HTTPStatus.INTERNAL_SERVER_ERROR)
    reason = breaker.reason or "it failed this request"
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = JsonResponse(
            {"status": "error", "errorType": "unavailable", "error": f"Postgres is away: {reason}"},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
    else:
        waiting = {"reason": reason, "waiting": spool.waiting()}
        response = HttpResponse(render_to_string("503.html", waiting), status=HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response
