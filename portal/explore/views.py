"""The page of Explore, its figure and CSV, the check of a text while it is typed, and the history's deletion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit
from zlib import crc32

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import push_url

import promql
from alerts.evaluation.series import portal_source
from core.accounts import permissions
from core.accounts.permissions import Scope
from core.heavy import heavy
from core.ui import time_range as ranges
from core.ui.time_range import TimeRange
from portal.explore import completion, graph, query_history, query_results, state, table
from portal.explore.examples import examples
from portal.explore.meaning import meaning
from portal.explore.query_results import QueryResult
from portal.explore.state import Asked, ExploreState, Step
from portal.explore.units import shown
from usage.boards import queries

# Servers and chat programs cut longer ones.
LONGEST_ADDRESS = 8000
STEPS = ("15s", "30s", "1m", "5m", "15m", "30m", "1h", "6h", "1d")


@dataclass(frozen=True)
class Looked:
    """What a request looks at: the state of its URL, the reader's workspaces, the time, and where series come from."""

    state: ExploreState
    scope: Scope
    time_range: TimeRange
    step: Step
    source: promql.Source


def look(request: HttpRequest) -> Looked:
    """Read the URL. Raises Http404 for a workspace that the reader may not see."""
    found, scope = state.parse_state(request.GET), permissions.scope_of(request.user, request.GET)
    time_range = ranges.parse(request.GET, timezone.now())
    return Looked(found, scope, time_range, state.step_of(found.step, time_range), portal_source(scope.slugs))


@heavy
@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The page. Its buttons (`do`) lead to the URL of what they make; `run` also puts the queries into the history."""
    looked = look(request)
    if "do" in request.GET:
        looked = replace(looked, state=act(request, looked.state, request.GET.getlist("do")))
        if len(url(looked.state)) <= LONGEST_ADDRESS:
            return redirect(url(looked.state))
        messages.warning(request, "These queries are too long for an address that can be shared.")
        return push_url(render(request, "portal/explore.html", content(request, looked)), False)
    return render(request, "portal/explore.html", content(request, looked))


def content(request: HttpRequest, looked: Looked) -> dict[str, Any]:
    """What the page shows."""
    asked = [evaluate_query(one, looked) for one in looked.state.queries]
    context = {
        "state": looked.state,
        "scope": looked.scope,
        "time_range": looked.time_range,
        "step": looked.step,
        "steps": STEPS,
        "tabs": [(name, label, url(looked.state.with_tab(name))) for name, label in state.TABS.items()],
        "own_fields": [(name, value) for name, value in looked.state.pairs if name not in state.KEPT],
        "rows": [row(answer, looked, request) for answer in asked],
        "data_url": f"?{looked.state.asked_string}",
        "engine": engine(looked),
        "may_add": len(looked.state.queries) < len(state.LETTERS),
    }
    return context | TABS[looked.state.tab](request, looked, asked)


def engine(looked: Looked) -> str:
    """Which engine answers, where there are two."""
    if not settings.PORTAL.prometheus_url:
        return ""
    server = urlsplit(settings.PORTAL.prometheus_url).netloc.rpartition("@")[2]
    if isinstance(looked.source, promql.Engine):
        return f"Answered by the Prometheus server {server}."
    return f"Answered by Postgres: the Prometheus server {server} cannot tell workspaces apart."


def act(request: HttpRequest, before: ExploreState, actions: Sequence[str]) -> ExploreState:
    """What buttons make of the state (several, where one was pressed before the other's answer); a run leaves the
    history for its graph."""
    before = before.changed(actions)
    if "run" not in actions:
        return before
    query_history.record(permissions.person_of(request), [one.text for one in before.visible], timezone.now())
    return before.with_tab("graph") if before.tab == "history" else before


def url(of: ExploreState) -> str:
    """The address of a state."""
    return f"{reverse('explore')}?{of.query_string}"


def evaluate_query(asked: Asked, looked: Looked) -> QueryResult:
    """A query's answer at the end of the range; of a hidden one only whether it can be read."""
    if not asked.text:
        return QueryResult(asked)
    return (
        query_results.parsed(asked)
        if asked.is_hidden
        else query_results.at_end(asked, looked.source, looked.time_range)
    )


def row(answer: QueryResult, looked: Looked, request: HttpRequest) -> dict[str, Any]:
    """One query's editor: its answer, and where its links lead."""
    wrong = answer.wrong
    return {
        "asked": answer.asked,
        "answer": answer,
        "unit": shown(answer.unit),
        "count": len(answer.result.labels) if answer.result else None,
        "suggestion_url": url(looked.state.with_text(answer.asked, wrong.suggestion))
        if wrong and wrong.suggestion
        else "",
        "may_rule": answer.query is not None
        and answer.query.type in ("vector", "scalar")
        and permissions.may_operate(request.user),
    }


def graph_tab(request: HttpRequest, looked: Looked, asked: list[QueryResult]) -> dict[str, Any]:
    """The graph draws itself from its own address; without a query there are examples. As long as nothing else is
    asked, it stays."""
    if not looked.state.is_empty:
        return {"graph_id": f"graph-{crc32(looked.state.asked_string.encode()):08x}", "graphs": graphs(looked, asked)}
    found = [
        (board, [(one, url(looked.state.alone(one.text))) for one in group])
        for board, group in examples(looked.time_range, looked.scope.slugs)
    ]
    return {"examples": found}


def graphs(looked: Looked, asked: list[QueryResult]) -> list[tuple[str, str]]:
    """Units and addresses of the figures: two units have an axis each in one, of more each has a figure of its own."""
    drawn = [one for one in asked if one.query is not None and not one.asked.is_hidden]
    units = list(dict.fromkeys(shown(one.unit) for one in drawn))
    base = f"{reverse('explore-figure')}?{looked.state.asked_string}"
    if len(units) <= graph.MAX_UNITS:
        return [("", base)]
    return [(unit or graph.PLAIN, f"{base}&{urlencode({'unit': unit})}") for unit in units]


def table_tab(request: HttpRequest, looked: Looked, asked: list[QueryResult]) -> dict[str, Any]:
    """The values at the end of the range, a table per query."""
    return {"tables": [table.table(one, looked.state.sort) for one in asked if one.result is not None]}


def meaning_tab(request: HttpRequest, looked: Looked, asked: list[QueryResult]) -> dict[str, Any]:
    """The queries in words."""
    visible = [one for one in asked if one.asked.text and not one.asked.is_hidden]
    found = (meaning(one, looked.source, looked.time_range.end_ms) for one in visible)
    return {"meanings": [one for one in found if one is not None]}


def history_tab(request: HttpRequest, looked: Looked, asked: list[QueryResult]) -> dict[str, Any]:
    """What the reader asked before."""
    kept = looked.state.with_tab("graph")
    found = query_history.find(permissions.person_of(request), looked.state.find)
    entries = []
    for one in found:
        again = ExploreState(
            tuple(Asked(place, text) for place, text in enumerate(one.queries)), "graph", "", "", "", kept.kept
        )
        entries.append((one, f"{url(again)}&do=run"))
    return {"entries": entries}


TABS: dict[str, Callable[[HttpRequest, Looked, list[QueryResult]], dict[str, Any]]] = {
    "graph": graph_tab,
    "table": table_tab,
    "meaning": meaning_tab,
    "history": history_tab,
}


@heavy
@login_required
@require_GET
def figure(request: HttpRequest) -> JsonResponse:
    """The graph's figure, or that of the queries of one `unit`. What failed is in its `problems`; where nothing else is
    left: 422."""
    looked, unit = look(request), request.GET.get("unit")
    chosen = [one for one in looked.state.visible if unit is None or shown(query_results.parsed(one).unit) == unit]
    found = [query_results.over_range(one, looked.source, looked.time_range, looked.step) for one in chosen]
    if found and all(one.wrong for one in found):
        said = {one.asked.letter: one.wrong.message for one in found if one.wrong}
        return JsonResponse({"error": "; ".join(said.values()), "problems": said}, status=422)
    colours = queries.colours_by_value("model")
    return JsonResponse(graph.draw(found, looked.time_range, colours, lettered=len(looked.state.visible) > len(chosen)))


@heavy
@login_required
@require_GET
def graph_data(request: HttpRequest) -> HttpResponse:
    """The graph's data as CSV."""
    looked = look(request)
    found = [
        query_results.over_range(one, looked.source, looked.time_range, looked.step) for one in looked.state.visible
    ]
    return refused(found) or table.write_graph(found)


@heavy
@login_required
@require_GET
def table_data(request: HttpRequest) -> HttpResponse:
    """The table's data as CSV, every row."""
    looked = look(request)
    found = [query_results.at_end(one, looked.source, looked.time_range) for one in looked.state.visible]
    return refused(found) or table.write_table(found)


def refused(found: list[QueryResult]) -> HttpResponse | None:
    """422 where a query failed: a file that lacks it would not say so."""
    said = "\n".join(f"{one.asked.letter}: {one.wrong.message}" for one in found if one.wrong)
    return HttpResponse(said, status=422, content_type="text/plain; charset=utf-8") if said else None


@login_required
@require_GET
def check(request: HttpRequest) -> HttpResponse:
    """What is wrong with the text `q`, as it stands under its editor; empty where nothing is."""
    asked = Asked(0, request.GET.get("q", "").replace("\r\n", "\n"))
    answer = query_results.parsed(asked) if asked.text.strip() else QueryResult(asked)
    return render(request, "portal/explore_wrong.html", {"wrong": answer.wrong})


@login_required
@require_GET
def completions(request: HttpRequest) -> JsonResponse:
    """What the editor completes without asking for labels."""
    return JsonResponse(completion.completions(portal_source(permissions.scope_of(request.user, request.GET).slugs)))


@login_required
@require_POST
def forget(request: HttpRequest) -> HttpResponse:
    """Delete an entry of the reader's history (`entry`), or all of it (`entry=all`); then back to where it was
    shown."""
    entry = request.POST.get("entry", "")
    if entry == "all":
        query_history.forget(permissions.person_of(request))
    elif entry.isdecimal():
        query_history.forget(permissions.person_of(request), int(entry))
    return redirect(url(state.parse_state(request.GET)))
