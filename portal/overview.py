"""The first page: is usage being recorded, does anything need me?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

import alerts.queries
from alerts.oncall.queries import duties
from core.accounts import permissions
from core.accounts.time_zones import zone_of
from core.ui import time_range as ranges
from core.ui.numbers import count
from usage.boards import queries, tiles
from usage.boards.declarations import OVERVIEW
from usage.boards.views import KEY_LATE_AFTER, answer, board_panels, models_listed
from usage.ingest import spool
from usage.samples import demo

MAX_ALERTS = 4
QUIET_AFTER = timedelta(minutes=5)
SILENT_AFTER = timedelta(minutes=15)
KEY_RETIRED_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class Telemetry:
    """The state of what comes in, as the sentence at the head of the page says it."""

    state: str
    description: str
    last_at: datetime | None
    per_second: float
    queue: int
    keys: int
    keys_on_schedule: int
    evaluated_at: datetime | None


def telemetry(scope: permissions.Scope, now: datetime) -> Telemetry:
    """Whether records arrive, from whom, and whether the rules are evaluated."""
    arrival = queries.arrival(scope.slugs, now)
    used = [key.last_used_at for key in queries.keys_in_use(scope.slugs) if key.last_used_at]
    recent = [at for at in used if now - at < KEY_RETIRED_AFTER]
    age = now - arrival.last_at if arrival.last_at else None
    if age is None:
        state, description = "", "Nothing was recorded yet"
    elif age < QUIET_AFTER:
        state, description = "ok", "Telemetry is arriving"
    elif age < SILENT_AFTER:
        state, description = "warning", "Telemetry is quiet"
    else:
        state, description = "critical", "Telemetry has stopped"
    return Telemetry(
        state,
        description,
        arrival.last_at,
        arrival.per_second,
        spool.waiting(),
        len(recent),
        sum(now - at < KEY_LATE_AFTER for at in recent),
        alerts.queries.last_evaluation(),
    )


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The overview of the workspaces that the reader may see."""
    now = timezone.now()
    scope = permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, now)
    calls = queries.Rollups("llm_call", scope.slugs, now)
    sort = request.GET.get("sort", "cost")
    firing = alerts.queries.firing(scope.slugs, MAX_ALERTS)
    shown = [*firing, *alerts.queries.pending(scope.slugs, MAX_ALERTS - len(firing))]
    counts = alerts.queries.counts(scope.slugs)
    notified = alerts.queries.notified(shown)
    context = {
        "scope": scope,
        "time_range": time_range,
        "sort": sort,
        "telemetry": telemetry(scope, now),
        "stalled": alerts.queries.stalled_groups(now),
        "demo": demo.running(now),
        "may_operate": permissions.may_operate(request.user),
        "tiles": tiles.overview(calls, time_range, now, zone_of(scope.slugs)),
        "models": models_listed(request, calls, time_range, sort),
        "is_empty": calls.is_empty,
        "counts": counts,
        "attention": [(alert, count(alert.value), notified.get(alert.pk, [])) for alert in shown],
        "not_shown": counts.firing + counts.pending - len(shown),
        "duties": duties(scope.slugs, now),
        "panels": board_panels(OVERVIEW, request.user, scope, time_range),
        "base_url": settings.PORTAL.public_url,
    }
    return answer(request, "portal/overview.html", context)
