"""The addresses of Jaeger's query API, for callers with a key of the scope `query`, or a session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.pg.text import storable, storable_labels
from portal.jaeger import search, shapes
from portal.jaeger.search import BadRequest
from portal.promapi.caller import workspaces_of
from portal.promapi.responses import STATUS, Failed
from telemetry.store.reading import trace_catalog
from telemetry.store.reading.traces import TraceFilters, find_traces

LOOKBACK = timedelta(hours=1)
NAMES_SINCE = timedelta(days=2)


def endpoint(view: Callable[..., Any]) -> Callable[..., HttpResponse]:
    """A view whose answers and errors have Jaeger's shape."""

    @require_GET
    @wraps(view)
    def answer(request: HttpRequest, **values: str) -> HttpResponse:
        try:
            found = view(request, workspaces_of(request), **values)
        except BadRequest as error:
            return JsonResponse(shapes.failure(400, str(error)), status=400)
        except Failed as error:
            status = STATUS[error.kind]
            response = JsonResponse(shapes.failure(status, str(error)), status=status)
            if error.retry_after:
                response["Retry-After"] = str(error.retry_after)
            return response
        return found if isinstance(found, HttpResponse) else JsonResponse(shapes.envelope(found))

    return answer


@endpoint
def services(request: HttpRequest, slugs: frozenset[str] | None) -> list[str]:
    """The services."""
    return trace_catalog.services(slugs)


@endpoint
def operations_of(request: HttpRequest, slugs: frozenset[str] | None, service: str) -> list[str]:
    """The names of a service's spans."""
    found = trace_catalog.operations(slugs, storable(service), timezone.now() - NAMES_SINCE)
    return [*dict.fromkeys(one.name for one in found)]


@endpoint
def operations(request: HttpRequest, slugs: frozenset[str] | None) -> list[dict[str, str]]:
    """The names of a service's spans with their kinds."""
    service, kind = storable(request.GET.get("service", "")), request.GET.get("spanKind", "")
    if not service:
        raise BadRequest("parameter 'service' is required")
    found = trace_catalog.operations(slugs, service, timezone.now() - NAMES_SINCE)
    rows = [{"name": one.name, "spanKind": shapes.KINDS.get(one.span_kind, "")} for one in found]
    return [row for row in rows if not kind or row["spanKind"] == kind]


@endpoint
def traces(request: HttpRequest, slugs: frozenset[str] | None) -> list[dict[str, Any]]:
    """The traces that match, the newest first."""
    if ids := request.GET.getlist("traceID"):
        rows = trace_catalog.by_ids([whole_id(one) for one in ids[: search.MAX_LIMIT]], slugs)
    else:
        size = search.limit("limit", request.GET.get("limit", ""))
        rows = find_traces(filters_of(request, slugs), size=size).rows
    return [shapes.trace_json(one) for one in trace_catalog.with_spans(rows, slugs)]


@endpoint
def trace(request: HttpRequest, slugs: frozenset[str] | None, trace_id: str) -> Any:
    """One trace, or one for each of the reader's workspaces that has its id."""
    found = trace_catalog.with_spans(trace_catalog.by_ids([whole_id(trace_id)], slugs), slugs)
    if not found:
        return JsonResponse(shapes.failure(404, "trace not found"), status=404)
    return [shapes.trace_json(one) for one in found]


def whole_id(trace_id: str) -> str:
    """An id with the zeros at its front, which Jaeger's clients leave away."""
    return trace_id.rjust(32, "0")


@endpoint
def dependencies(request: HttpRequest, slugs: frozenset[str] | None) -> list[dict[str, Any]]:
    """Which services call which; `endTs` and `lookback` are milliseconds."""
    now = int(timezone.now().timestamp() * 1000)
    end = search.whole("endTs", request.GET.get("endTs", ""), now)
    back = search.whole("lookback", request.GET.get("lookback", ""), 86_400_000)
    start_at, end_at = search.moment((end - back) / 1000), search.moment(end / 1000)
    found = trace_catalog.dependencies(slugs, start_at, end_at)
    return [{"parent": one.parent, "child": one.child, "callCount": one.calls} for one in found]


def filters_of(request: HttpRequest, slugs: frozenset[str] | None) -> TraceFilters:
    """A search as clients of this API write it. Raises BadRequest."""
    given = request.GET
    service, operation = given.get("service", ""), given.get("operation", "")
    if not service:
        raise BadRequest("parameter 'service' is required")
    end = search.whole("end", given.get("end", ""), int(timezone.now().timestamp() * 1e6))
    start = search.whole("start", given.get("start", ""), end - int(LOOKBACK.total_seconds() * 1e6))
    time = search.moment(start / 1e6), search.moment(end / 1e6)
    durations = [search.duration(name, given.get(name, "")) for name in ("minDuration", "maxDuration")]
    tags = search.tags("tags", given.getlist("tags")) | single_tags(given.getlist("tag"))
    return search.filters(
        slugs, service, "" if operation == "all" else operation, tags, time, (durations[0], durations[1])
    )


def single_tags(texts: list[str]) -> dict[str, str]:
    """The tags of `tag=name:value`, any number of them. Raises BadRequest."""
    found: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon:
            raise BadRequest(f"malformed 'tag' parameter, expecting name:value, received: {text}")
        found[name] = value
    return storable_labels(found)
