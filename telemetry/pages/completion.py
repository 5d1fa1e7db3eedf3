"""What may be typed after the name of a filter: its values in the time looked at, the most frequent first."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.ui import time_range as ranges
from telemetry.pages.traces.trace_search import STATUS, times
from telemetry.store.reading import logs, trace_stats
from telemetry.store.reading.traces import FACETS, TraceFilters

MAX_VALUES = 100


@login_required
@require_GET
def trace_values(request: HttpRequest) -> JsonResponse:
    """Values of `name` among the newest traces of the page's time; none for an attribute, of which no list is kept."""
    name = request.GET.get("name", "")
    if name == "status":
        return answer([*STATUS][:2])
    if name not in FACETS:
        return answer([])
    scope = permissions.scope_of(request.user, request.GET)
    found = trace_stats.facet_counts(TraceFilters(scope.slugs, *times(ranges.parse(request.GET, timezone.now()))))
    return answer([value for value, _ in found.values[name]])


@login_required
@require_GET
def log_values(request: HttpRequest) -> JsonResponse:
    """Values of `name` for the search of logs."""
    name = request.GET.get("name", "")
    if name == "severity":
        return answer([*logs.LEVELS])
    return answer(logs.services(permissions.scope_of(request.user, request.GET).slugs) if name == "service" else [])


def answer(values: list[str]) -> JsonResponse:
    """The values as the page's script reads them."""
    return JsonResponse({"values": values[:MAX_VALUES]})
