"""The answers of the Prometheus HTTP API: its shapes, error types and status codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

import numpy as np
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

import promql
from portal.promapi.parameters import BadParameter
from promql.text_forms import format_value

STATUS = {
    "bad_data": HTTPStatus.BAD_REQUEST,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "execution": HTTPStatus.UNPROCESSABLE_ENTITY,
    "timeout": HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
}


class Failed(Exception):
    """A request that is answered with an error of this type."""

    def __init__(self, kind: str, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


def failure(kind: str, message: str, retry_after: int = 0) -> JsonResponse:
    """An error as Prometheus answers it."""
    body = {"status": "error", "errorType": kind, "error": message}
    response = JsonResponse(body, status=STATUS[kind])
    if retry_after:
        response["Retry-After"] = str(retry_after)
    if kind == "unauthorized":
        response["WWW-Authenticate"] = "Bearer"
    return response


def success(data: Any, warnings: list[str] | None = None, infos: list[str] | None = None) -> JsonResponse:
    """Data as Prometheus answers it, with its annotations where there are any."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = warnings
    if infos:
        body["infos"] = infos
    return JsonResponse(body)


def endpoint(*methods: str) -> Callable[[Callable[..., Any]], Callable[..., HttpResponse]]:
    """A view of the API: its methods, and its errors in Prometheus's form. Reading only, so that no CSRF token is
    needed."""

    def decorate(view: Callable[..., Any]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @require_http_methods([*methods, "HEAD"])
        @wraps(view)
        def answer(request: HttpRequest, **values: str) -> HttpResponse:
            try:
                found = view(request, **values)
            except BadParameter as error:
                return failure("bad_data", str(error))
            except Failed as error:
                return failure(error.kind, str(error), error.retry_after)
            except promql.LimitError as error:
                return failure("timeout" if error.limit == "timeout_seconds" else "execution", str(error))
            except promql.UnavailableError as error:
                return failure("unavailable", str(error))
            except promql.EvalError as error:
                return failure("execution", str(error))
            except promql.PromQLError as error:
                return failure("bad_data", f'invalid parameter "query": {error}')
            return found if isinstance(found, HttpResponse) else success(found)

        return answer

    return decorate


def seconds(milliseconds: int) -> float | int:
    """A timestamp as Prometheus writes it: whole seconds without a fraction."""
    return milliseconds / 1000 if milliseconds % 1000 else milliseconds // 1000


def result_data(result: promql.Result, limit: int) -> Mapping[str, Any]:
    """`data` of a query's answer; at most `limit` series where that is not 0."""
    stamps = [seconds(stamp) for stamp in result.times.tolist()]
    if result.type == "string":
        return {"resultType": "string", "result": [stamps[0], result.string]}
    if result.type == "scalar":
        return {"resultType": "scalar", "result": [stamps[0], format_value(float(result.values[0, 0]))]}
    found: list[dict[str, Any]] = []
    for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
        if limit and len(found) == limit:
            break
        places = np.flatnonzero(present)
        texts = [
            [stamps[place], format_value(value)]
            for place, value in zip(places.tolist(), values[places].tolist(), strict=True)
        ]
        if result.type == "vector" and texts:
            found.append({"metric": labels, "value": texts[0]})
        elif texts:
            found.append({"metric": labels, "values": texts})
    return {"resultType": result.type, "result": found}


def answer_of(result: promql.Result, limit: int) -> JsonResponse:
    """A query's answer."""
    cut = bool(limit) and len(result.labels) > limit
    warnings = [*result.warnings, "results truncated due to limit"] if cut else result.warnings
    return success(result_data(result, limit), warnings, result.infos)
