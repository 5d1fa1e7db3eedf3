"""1 ingest, the entrance: POST /api/v1/usage, and the receipts."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core.accounts import keys
from usage.ingest import pipeline
from usage.ingest.body import Readable, TooLarge, read_body
from usage.ingest.spool import SpoolFull
from usage.pages import ingestion_queries
from usage.records.records import Unreadable

RETRY_SECONDS = 10


def problem(status: HTTPStatus, error: str, retry_after: int = 0) -> JsonResponse:
    """An error as the API answers it."""
    response = JsonResponse({"error": error}, status=status)
    if retry_after:
        response["Retry-After"] = str(retry_after)
    if status is HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def allowed(request: HttpRequest, scope: str) -> keys.Caller | JsonResponse:
    """The caller of a request whose key has `scope`, or the answer that refuses it."""
    try:
        caller, retry_after = keys.authenticate(request.headers.get("Authorization", ""), timezone.now())
    except keys.Refused as refused:
        return problem(HTTPStatus.UNAUTHORIZED, str(refused))
    except DatabaseError as away:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(away), RETRY_SECONDS)
    if retry_after:
        return problem(HTTPStatus.TOO_MANY_REQUESTS, "more requests than this key may send per minute", retry_after)
    if scope not in caller.scopes:
        return problem(HTTPStatus.FORBIDDEN, f"this API key lacks the scope {scope!r}")
    return caller


def only(method: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Let an address of the API take one method; other methods get a 405 in the API's own error format."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == method:
                return view(request, *args, **kwargs)
            refusal = problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed here; send a {method}")
            refusal["Allow"] = method
            return refusal

        return answer

    return decorate


def stream_of(request: HttpRequest) -> tuple[Readable, int | None]:
    """What to read the body from, and its length where the client said it. Django reads nothing of a chunked body."""
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        return request.META["wsgi.input"], None
    return request, int(request.META.get("CONTENT_LENGTH") or 0)


@csrf_exempt
@only("POST")
def usage(request: HttpRequest) -> HttpResponse:
    """Records in: one object, an array, or NDJSON; the answer is a receipt."""
    received_at = timezone.now().timestamp()
    caller = allowed(request, "ingest")
    if isinstance(caller, JsonResponse):
        return caller
    try:
        stream, length = stream_of(request)
        body = read_body(stream, length, request.headers.get("Content-Encoding", ""))
        answer = pipeline.ingest(body, caller, received_at)
    except TooLarge as error:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    except (Unreadable, ValueError) as error:
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    except SpoolFull as error:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"nothing can be stored now: {error}", RETRY_SECONDS)
    return JsonResponse(answer.as_json())


@only("GET")
def receipt(request: HttpRequest, receipt_id: UUID) -> HttpResponse:
    """What became of a batch, for the workspace that sent it."""
    caller = allowed(request, "ingest")
    if isinstance(caller, JsonResponse):
        return caller
    found = ingestion_queries.receipt(receipt_id, caller.workspace_id)
    if found is None:
        return problem(HTTPStatus.NOT_FOUND, "no such receipt")
    return JsonResponse(found)
