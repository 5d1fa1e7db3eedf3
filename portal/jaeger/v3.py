"""Jaeger's newer query API, `/api/v3/`, which newer versions of its UI ask: traces as OTLP's JSON.

Parameters are called as in proto3's JSON (`query.serviceName`), or as they were called before
(`query.service_name`). Source: jaeger-idl, proto/api_v3/query_service.proto, and Jaeger's own gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.pg.text import storable
from portal.jaeger import search, shapes
from portal.jaeger.search import BadRequest
from portal.jaeger.views import NAMES_SINCE, whole_id
from portal.promapi.caller import workspaces_of
from portal.promapi.responses import STATUS, Failed
from telemetry.pages.traces.exports import nanoseconds, otlp_json
from telemetry.store.reading import trace_catalog
from telemetry.store.reading.trace_catalog import Share
from telemetry.store.reading.traces import Trace, TraceFilters, TraceRow, find_traces

# What would choose fewer traces; to leave it unseen would answer with more than were asked for.
UNKNOWN = ("query.filter", "query.pagination.pageSize", "query.pagination.pageToken")


class NotFound(Exception):
    """There is no such trace."""


def endpoint(view: Callable[..., dict[str, Any]]) -> Callable[..., JsonResponse]:
    """A view whose errors have the shape of the API's gateway."""

    @require_GET
    @wraps(view)
    def answer(request: HttpRequest, **values: str) -> JsonResponse:
        try:
            return JsonResponse(view(request, workspaces_of(request), **values))
        except BadRequest as error:
            return failure(HTTPStatus.BAD_REQUEST, str(error))
        except NotFound:
            return failure(HTTPStatus.NOT_FOUND, "No traces found")
        except Failed as error:
            response = failure(HTTPStatus(STATUS[error.kind]), str(error))
            if error.retry_after:
                response["Retry-After"] = str(error.retry_after)
            return response

    return answer


def failure(status: HTTPStatus, message: str) -> JsonResponse:
    """An answer that says what was wrong."""
    error = {"httpCode": status.value, "message": message, "httpStatus": status.phrase}
    return JsonResponse({"error": error}, status=status)


def given(params: QueryDict, name: str, *older: str) -> str:
    """A parameter by its name, else by the one that it had before, which is the same in snake_case; or by other names
    still."""
    snake = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    return next((text for one in (name, snake, *older) if (text := params.get(one, ""))), "")


@endpoint
def services(request: HttpRequest, slugs: frozenset[str] | None) -> dict[str, Any]:
    """The services."""
    return {"services": trace_catalog.services(slugs)}


@endpoint
def operations(request: HttpRequest, slugs: frozenset[str] | None) -> dict[str, Any]:
    """The names of a service's spans with their kinds."""
    service, kind = storable(request.GET.get("service", "")), given(request.GET, "spanKind")
    if not service:
        raise BadRequest("parameter service is required")
    found = trace_catalog.operations(slugs, service, timezone.now() - NAMES_SINCE)
    rows = [{"name": one.name, "spanKind": shapes.KINDS.get(one.span_kind, "internal")} for one in found]
    return {"operations": [row for row in rows if not kind or row["spanKind"] == kind]}


@endpoint
def trace(request: HttpRequest, slugs: frozenset[str] | None, trace_id: str) -> dict[str, Any]:
    """One trace. Its times only help stores that look for ids by time, and this is none."""
    for name in ("startTime", "endTime"):
        if text := given(request.GET, name):
            search.rfc3339(name, text)
    return result(trace_catalog.with_spans(trace_catalog.by_ids([whole_id(trace_id)], slugs), slugs))


@endpoint
def traces(request: HttpRequest, slugs: frozenset[str] | None) -> dict[str, Any]:
    """The traces that match, the newest first."""
    return result(trace_catalog.with_spans(rows_of(request, slugs), slugs))


@endpoint
def summaries(request: HttpRequest, slugs: frozenset[str] | None) -> dict[str, Any]:
    """The same in short, for a list."""
    return {"summaries": [summary(*one) for one in trace_catalog.shares(rows_of(request, slugs), slugs)]}


@endpoint
def dependencies(request: HttpRequest, slugs: frozenset[str] | None) -> dict[str, Any]:
    """Which services call which, and how often."""
    start, end = (required(request.GET, name) for name in ("startTime", "endTime"))
    if start >= end:
        raise BadRequest("malformed parameter endTime: it must be after startTime")
    found = trace_catalog.dependencies(slugs, start, end)
    return {
        "dependencies": [{"parent": one.parent, "child": one.child, "callCount": str(one.calls)} for one in found],
    }


def result(found: Sequence[Trace]) -> dict[str, Any]:
    """Traces as OTLP's JSON, one after another in one answer. Raises NotFound where there is none."""
    if not found:
        raise NotFound
    return {"result": {"resourceSpans": [resource for one in found for resource in otlp_json(one)["resourceSpans"]]}}


def summary(row: TraceRow, shares: Sequence[Share]) -> dict[str, Any]:
    """A trace in short."""
    return {
        "traceId": row.trace_id,
        "rootServiceName": row.root_service,
        "rootOperationName": row.root_name,
        "minStartTimeUnixNano": nanoseconds(row.start),
        "maxEndTimeUnixNano": nanoseconds(row.start + timedelta(seconds=row.duration)),
        "spanCount": sum(one.spans for one in shares),
        "errorSpanCount": sum(one.errors for one in shares),
        "orphanSpanCount": sum(one.orphans for one in shares),
        "services": [{"name": one.service, "spanCount": one.spans, "errorSpanCount": one.errors} for one in shares],
    }


def rows_of(request: HttpRequest, slugs: frozenset[str] | None) -> list[TraceRow]:
    """The traces that a search finds. Raises BadRequest."""
    params = request.GET
    text = given(params, "query.searchDepth", "query.num_traces")
    return find_traces(filters_of(params, slugs), size=search.limit("query.searchDepth", text)).rows


def filters_of(params: QueryDict, slugs: frozenset[str] | None) -> TraceFilters:
    """A search as clients of this API write it. Raises BadRequest."""
    for name in UNKNOWN:
        if params.get(name):
            raise BadRequest(f"parameter {name} is not supported")
    time = required(params, "query.startTimeMin"), required(params, "query.startTimeMax")
    durations = [search.duration(name, given(params, name)) for name in ("query.durationMin", "query.durationMax")]
    return search.filters(
        slugs,
        given(params, "query.serviceName"),
        given(params, "query.operationName", "query.span_name"),
        search.tags("query.attributes", params.getlist("query.attributes")),
        time,
        (durations[0], durations[1]),
    )


def required(params: QueryDict, name: str) -> datetime:
    """A time that must be there. Raises BadRequest."""
    text = given(params, name)
    if not text:
        raise BadRequest(f"parameter {name} is required")
    return search.rfc3339(name, text)
