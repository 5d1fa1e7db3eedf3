"""What happened while a panel's series were recorded: alerts on them that fired, edits of their rules, new prices, and
marks (deploys).

Drawn over the panel's figure: firing is shaded, a change is a dotted line with its label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

import alerts.queries
from alerts.models import Alert
from core.accounts import permissions
from core.charts import overlays
from core.charts.overlays import Note, Shape
from core.ui import time_range as ranges
from usage.boards import queries
from usage.boards.declarations import BOARDS
from usage.catalog import BY_SERIES
from usage.marks.queries import marks_between

MAX_SHOWN = 40
COST = "llm_provider_cost_usd_total"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def families(expr: str) -> frozenset[str]:
    """The metric families that a PromQL expression reads."""
    return frozenset(BY_SERIES[name].name for name in _NAME.findall(expr) if name in BY_SERIES)


@login_required
@require_GET
def of_panel(request: HttpRequest, board_id: str, panel_id: str) -> JsonResponse:
    """Plotly shapes and annotations for a panel, over the range of the URL."""
    board = BOARDS.get(board_id)
    panel = board.panel(panel_id) if board else None
    if panel is None:
        raise Http404("No such panel.")
    scope = permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, timezone.now())
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (time_range.start_ms, time_range.end_ms))
    read = frozenset().union(*(families(query.expr) for query in panel.queries))
    fired = [one for one in alerts.queries.fired_between(start, end, scope.slugs) if families(one.rule.expr) & read]
    edits = [one for one in alerts.queries.edits_between(start, end, scope.slugs) if families(one.rule.expr) & read]
    prices = queries.prices_between(start, end) if COST in read else []
    marks = marks_between(start, end, scope.slugs)
    shaded = [_shade(severity, *stretch) for severity, stretch in stretches(fired, start, end)]
    changes = [
        _change(change.at, f"rule edited: {change.rule.title or change.rule.name}") for change in edits[:MAX_SHOWN]
    ]
    changes += [_change(price.created_at, f"price of {price.model}") for price in prices[:MAX_SHOWN]]
    changes += [_change(mark.at, mark.title) for mark in marks[:MAX_SHOWN]]
    lines = [shape for shape, _ in changes]
    return JsonResponse({"shapes": [*shaded, *lines], "annotations": [note for _, note in changes]})


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def stretches(fired: Sequence[Alert], start: datetime, end: datetime) -> list[tuple[str, tuple[datetime, datetime]]]:
    """When anything fired, per severity: alerts that overlap make one stretch."""
    found: list[tuple[str, tuple[datetime, datetime]]] = []
    for severity in ("critical", "warning"):
        times = sorted(
            (max(one.fired_at or one.active_at, start), min(one.ended_at or end, end))
            for one in fired
            if (one.severity == "critical") == (severity == "critical")
        )
        merged: list[tuple[datetime, datetime]] = []
        for began, ended in times:
            if merged and began <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], ended))
            else:
                merged.append((began, ended))
        found += [(severity, stretch) for stretch in merged]
    return found


def _shade(severity: str, began: datetime, ended: datetime) -> Shape:
    return overlays.span(_ms(began), _ms(ended), f"--{severity}/.1")


def _change(at: datetime, text: str) -> tuple[Shape, Note]:
    return overlays.change(_ms(at)), overlays.label(_ms(at), text)
