"""The addresses of Jaeger's query API, for callers with a key of the scope `query`, or a session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.pg.text import storable, storable_labels
from portal.jaeger import shapes
from portal.promapi.caller import workspaces_of
from portal.promapi.responses import STATUS, Failed
from telemetry.pages.chips import number
from telemetry.store.reading import trace_catalog
from telemetry.store.reading.traces import TraceFilters, find_traces

DEFAULT_LIMIT, MAX_LIMIT = 20, 200
LOOKBACK = timedelta(hours=1)
NAMES_SINCE = timedelta(days=2)


class BadRequest(ValueError):
    """A parameter that cannot be read."""


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
        rows = trace_catalog.by_ids([whole_id(one) for one in ids[:MAX_LIMIT]], slugs)
    else:
        rows = find_traces(filters_of(request, slugs), size=limit_of(request)).rows
    return [shapes.trace_json(one) for one in trace_catalog.with_spans(rows, slugs)]


@endpoint
def trace(request: HttpRequest, slugs: frozenset[str] | None, trace_id: str) -> Any:
    """One trace, or one for each of the reader's workspaces that has its id."""
    found = trace_catalog.by_ids([whole_id(trace_id)], slugs)
    if not found:
        return JsonResponse(shapes.failure(404, "trace not found"), status=404)
    return [shapes.trace_json(one) for one in trace_catalog.with_spans(found, slugs)]


def whole_id(trace_id: str) -> str:
    """An id with the zeros at its front, which Jaeger's clients leave away."""
    return trace_id.rjust(32, "0")


@endpoint
def dependencies(request: HttpRequest, slugs: frozenset[str] | None) -> list[dict[str, Any]]:
    """Which services call which; `endTs` and `lookback` are milliseconds."""
    now = int(timezone.now().timestamp() * 1000)
    end, back = whole(request, "endTs", now), whole(request, "lookback", 86_400_000)
    start_at, end_at = moment((end - back) / 1000), moment(end / 1000)
    found = trace_catalog.dependencies(slugs, start_at, end_at)
    return [{"parent": one.parent, "child": one.child, "callCount": one.calls} for one in found]


def filters_of(request: HttpRequest, slugs: frozenset[str] | None) -> TraceFilters:
    """A search as Jaeger's clients write it. Raises BadRequest."""
    service, operation = (storable(request.GET.get(name, "")) for name in ("service", "operation"))
    if not service:
        raise BadRequest("parameter 'service' is required")
    now = int(timezone.now().timestamp() * 1e6)
    end = whole(request, "end", now)
    start = whole(request, "start", end - int(LOOKBACK.total_seconds() * 1e6))
    wanted = tags_of(request)
    error = wanted.pop("error", None)
    return TraceFilters(
        slugs,
        moment(start / 1e6),
        moment(end / 1e6),
        facets=(("service", service),),
        attributes=tuple(wanted.items()),
        span_name="" if operation == "all" else operation,
        failed=None if error is None else error.lower() == "true",
        min_duration=duration(request, "minDuration"),
        max_duration=duration(request, "maxDuration"),
    )


def tags_of(request: HttpRequest) -> dict[str, str]:
    """The tags of a search: `tags`, a JSON object, and `tag=name:value`, any number of them. Raises BadRequest."""
    found: dict[str, str] = {}
    for text in request.GET.getlist("tags"):
        try:
            given = msgspec.json.decode(text or "{}", type=dict[str, str | int | float | bool])
        except msgspec.MsgspecError:
            raise BadRequest("malformed 'tags' parameter, expecting a JSON object of names and values") from None
        found |= {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in given.items()
        }
    for text in request.GET.getlist("tag"):
        name, colon, value = text.partition(":")
        if not colon:
            raise BadRequest(f"malformed 'tag' parameter, expecting name:value, received: {text}")
        found[name] = value
    return storable_labels(found)


def whole(request: HttpRequest, name: str, default: int) -> int:
    """A parameter that is a whole number. Raises BadRequest."""
    text = request.GET.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(f"cannot parse {name}: {text!r} is no whole number")
    return int(text)


def limit_of(request: HttpRequest) -> int:
    """How many traces are wanted."""
    return min(max(whole(request, "limit", DEFAULT_LIMIT), 1), MAX_LIMIT)


def duration(request: HttpRequest, name: str) -> float | None:
    """A duration such as `1.2s` or `100ms` in seconds. Raises BadRequest."""
    text = request.GET.get(name, "")
    try:
        return number(text) if text else None
    except ValueError:
        raise BadRequest(f"cannot parse {name}: {text!r} is no duration") from None


def moment(seconds: float) -> datetime:
    """A time of the Unix epoch. Raises BadRequest."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequest("a time is outside the calendar") from None
