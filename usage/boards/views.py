"""The boards, and each panel's figure (JSON) and data (CSV) at an address of its own, so that a panel fails alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.charts.units import UNITS
from core.heavy import heavy
from core.ui import time_range as ranges
from core.ui.csv_file import CsvFile
from core.ui.htmx import is_partial
from core.ui.listing import Listing, listing
from core.ui.time_range import TimeRange
from promql import PromQLError, Result, UnavailableError
from usage.boards import figures, gaps, model_table, queries, tool_table
from usage.boards.declarations import BOARDS, COVERAGE, COVERAGE_TARGET, PROVIDERS, TOOLS, Board, Panel, expand
from usage.boards.panels import evaluate, folded
from usage.series.engine import source_for

KEY_LATE_AFTER = timedelta(minutes=15)


def answer(request: HttpRequest, template: str, context: dict[str, object]) -> HttpResponse:
    """The page, or for htmx its live part: `usage/tools.html` has it in `usage/tools_live.html`."""
    is_part = is_partial(request)
    response = render(request, template.replace(".html", "_live.html") if is_part else template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@dataclass(frozen=True)
class ShownPanel:
    """A panel as a page shows it: where its figure and data are, how often (seconds) it is drawn again."""

    panel: Panel
    url: str
    csv_url: str
    annotations_url: str
    every: int
    queries: list[str]
    range_query: str
    workspace: str = ""
    may_operate: bool = False

    @property
    def explore_url(self) -> str:
        """Its queries in Explore, over the same time and workspaces."""
        return f"{reverse('explore')}?{urlencode([('q', query) for query in self.queries])}&{self.range_query}"

    @property
    def rule_urls(self) -> list[tuple[str, str]]:
        """Where an alert on it begins, with what of it: a template's blanks, else each of its queries over the shortest
        windows."""
        if not self.may_operate:
            return []
        more = {"suggest": "1", **({"workspace": self.workspace} if self.workspace else {})}
        new = reverse("rule-new")
        if self.panel.rule:
            return [("this", f"{new}?{urlencode({**self.panel.rule, **more})}")]
        named = [one for one in self.panel.queries if one.legend]
        texts = {"title": self.panel.title, "unit": UNITS[self.panel.unit].rule}
        return [
            (
                "this" if len(named) == 1 else one.legend,
                f"{new}?{urlencode({'expr': expand(one.expr, '5m', '1h'), **texts, **more})}",
            )
            for one in named
        ]

    @property
    def unit(self) -> str:
        """What stands in its corner."""
        return UNITS[self.panel.unit].shown


def board_panels(
    board: Board, user: permissions.Person, scope: permissions.Scope, time_range: TimeRange
) -> dict[str, ShownPanel]:
    """The panels of a board by their names, as the person may use them."""
    may_operate = permissions.may_operate(user)
    query = "&".join(part for part in (time_range.query, scope.query) if part)
    every = 15 if time_range.span_ms <= ranges.HOUR else 30 if time_range.span_ms <= ranges.DAY else 120
    found = {}
    for panel in board.panels:
        shown = _shown(board, panel, query, every, time_range)
        found[panel.id.replace("-", "_")] = replace(shown, workspace=scope.chosen, may_operate=may_operate)
    return found


def _shown(board: Board, panel: Panel, query: str, every: int, time_range: TimeRange) -> ShownPanel:
    step = time_range.step_for(panel.points) if panel.points else time_range.step_ms
    window = time_range.rate_window(step)
    return ShownPanel(
        panel,
        f"{reverse('panel-figure', args=[board.id, panel.id])}?{query}",
        f"{reverse('panel-data', args=[board.id, panel.id])}?{query}",
        f"{reverse('panel-annotations', args=[board.id, panel.id])}?{query}",
        every,
        [expand(one.expr, window, time_range.window) for one in panel.queries],
        query,
    )


def _evaluated(
    request: HttpRequest, board_id: str, panel_id: str, *, drawn: bool
) -> tuple[Panel, list[Result], TimeRange]:
    """A panel's results: as they are `drawn`, the largest series and the others together, or all of them.

    Raises Http404 for an unknown panel or a workspace that the reader may not see, and promql.PromQLError.
    """
    board = BOARDS.get(board_id)
    panel = board.panel(panel_id) if board else None
    if panel is None:
        raise Http404("No such panel.")
    scope = permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, timezone.now())
    source = source_for(scope.slugs)
    return (
        panel,
        evaluate(panel, folded(panel, source, time_range, scope.slugs) if drawn else source, time_range),
        time_range,
    )


@heavy
@login_required
@require_GET
def figure(request: HttpRequest, board_id: str, panel_id: str) -> HttpResponse:
    """A panel's figure. What went wrong is said in `error`: 422 for a query, 503 while Postgres is away."""
    try:
        panel, results, time_range = _evaluated(request, board_id, panel_id, drawn=True)
        colours = queries.colours_by_value("" if panel.colour_by in figures.KINDS else panel.colour_by)
        return JsonResponse(figures.draw(panel, results, time_range, colours))
    except UnavailableError as error:
        return JsonResponse({"error": str(error)}, status=503)
    except PromQLError as error:
        return JsonResponse({"error": str(error)}, status=422)
    except OperationalError:
        return JsonResponse({"error": "Postgres does not answer."}, status=503)


@heavy
@login_required
@require_GET
def data(request: HttpRequest, board_id: str, panel_id: str) -> HttpResponse:
    """A panel's data as CSV."""
    try:
        panel, results, _ = _evaluated(request, board_id, panel_id, drawn=False)
    except PromQLError as error:
        return HttpResponse(str(error), status=422, content_type="text/plain")
    file = CsvFile(f"{board_id}-{panel_id}.csv")
    header, rows = figures.table(panel, results)
    file.add(header)
    for row in rows:
        file.add(row)
    return file.response


def _page(request: HttpRequest, board: Board) -> tuple[permissions.Scope, TimeRange, dict[str, object]]:
    """What every board begins with: who reads which time, and its panels."""
    scope = permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, timezone.now())
    panels = board_panels(board, request.user, scope, time_range)
    return scope, time_range, {"scope": scope, "time_range": time_range, "panels": panels}


def models_listed(
    request: HttpRequest, calls: queries.Rollups, time_range: TimeRange, sort: str
) -> Listing[model_table.ModelRow]:
    """The page of the table of models that the request asks for."""
    rows = model_table.rows(calls, time_range, queries.colours_by_value("model"), sort)
    return listing(rows, request.GET, lambda row: f"{row.model} {row.provider}")


@login_required
@require_GET
def coverage(request: HttpRequest) -> HttpResponse:
    """Whose usage is missing, since when?"""
    scope, time_range, context = _page(request, COVERAGE)
    now = timezone.now()
    calls = queries.Rollups("llm_call", scope.slugs, now)
    sort = request.GET.get("sort", "coverage")
    found = gaps.gaps(calls, time_range)
    context |= {
        "sort": sort,
        "models": models_listed(request, calls, time_range, sort),
        "gaps": found,
        "open_gaps": [gap for gap in found if gap.is_open],
        "keys": queries.keys_in_use(scope.slugs),
        "late_before": now - KEY_LATE_AFTER,
        "target": COVERAGE_TARGET,
    }
    return answer(request, "usage/coverage.html", context)


@login_required
@require_GET
def providers(request: HttpRequest) -> HttpResponse:
    """Which provider or model is slow or failing?"""
    scope, time_range, context = _page(request, PROVIDERS)
    calls = queries.Rollups("llm_call", scope.slugs, timezone.now())
    sort = request.GET.get("sort", "calls")
    context |= {"sort": sort, "models": models_listed(request, calls, time_range, sort)}
    return answer(request, "usage/providers.html", context)


@login_required
@require_GET
def tools(request: HttpRequest) -> HttpResponse:
    """Which MCP tool is slow or failing?"""
    scope, time_range, context = _page(request, TOOLS)
    calls = queries.Rollups("tool_call", scope.slugs, timezone.now())
    sort = request.GET.get("sort", "p95")
    rows = tool_table.rows(calls, time_range, sort)
    context |= {"sort": sort, "tools": listing(rows, request.GET, lambda row: f"{row.tool} {row.server}")}
    return answer(request, "usage/tools.html", context)
