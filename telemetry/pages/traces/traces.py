"""Traces: what ran, how long it took, what failed. The list, its chart, its facets; two traces side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.ui import numbers
from core.ui import time_range as ranges
from core.ui.csv_file import CsvFile
from telemetry.pages import saved_views
from telemetry.pages.addresses import address, kept, own_fields
from telemetry.pages.chips import Chip, is_trace_id, parse, parse_all
from telemetry.pages.traces import traces_figure
from telemetry.pages.traces.trace_search import HINT, RANGES, Search, search_of, times, without_duration
from telemetry.store import sampling
from telemetry.store.reading import trace_stats
from telemetry.store.reading.traces import FACETS, Sort, TraceRow, find_traces

SIZE, MAX_PAGES, CSV_ROWS = 25, 400, 10_000
DEFAULT_RANGE = "6h"
# The facets that the page offers, in order, with their headings and how many values are shown before "more".
OFFERED = (
    ("service", "Service"),
    ("agent", "Agent"),
    ("model", "Model"),
    ("tool", "Tool"),
    ("team", "Team"),
    ("error", "Error"),
    ("component", "Component"),
    ("provider", "Provider"),
)
SHOWN, MAX_VALUES = 6, 40
# Why sampling kept a trace.
KEPT = {"error": "with errors", "slow": "slowest", "costly": "costliest", "share": "of the share"}
COLUMNS: tuple[tuple[Sort, str, bool], ...] = (
    ("start", "Start", False),
    ("duration", "Took", False),
    ("spans", "Spans", True),
    ("tokens", "Tokens in / out", True),
    ("cost_usd", "Cost", True),
)


@dataclass(frozen=True)
class Line:
    """A row of the list: `share` is its duration in percent of the page's longest."""

    trace: TraceRow
    kind: str
    who: str
    why: str
    share: float

    @property
    def usage_missing(self) -> bool:
        """Whether a call of a model in it has no usage."""
        return bool(self.trace.values("usage"))


@dataclass(frozen=True)
class ShownChip:
    """A chip, and the address without it."""

    chip: Chip
    without: str


@dataclass(frozen=True)
class FacetValue:
    """A value of a facet, how many traces have it, and the address with it chosen or left."""

    value: str
    count: int
    share: float
    chosen: bool
    url: str
    state: str = ""


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    scope: permissions.Scope
    time_range: ranges.TimeRange
    search: Search
    sort: Sort
    descending: bool
    page: int


def asked(request: HttpRequest) -> Asked:
    """The request's search, order and page; what cannot be read is as if it were not there."""
    scope = permissions.scope_of(request.user, request.GET)
    given = request.GET if {"range", "from", "to"} & set(request.GET) else {"range": DEFAULT_RANGE}
    time_range = ranges.parse(given, timezone.now())
    start, end = times(time_range)
    search = search_of(parse_all(request.GET.getlist("q")), scope.slugs, start, end)
    sort = request.GET.get("sort", "")
    number = request.GET.get("page", "1")
    page = min(max(int(number), 1), MAX_PAGES) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    chosen: Sort = next((one for one in get_args(Sort) if one == sort.lstrip("-")), "start")
    return Asked(scope, time_range, search, chosen, not sort or sort.startswith("-"), page)


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The list with its chart; `part=facets` and `part=list` are its parts. What is
    typed becomes a chip of the address."""
    if (typed := request.GET.get("add", "").strip()) or "add" in request.GET:
        return _with_chip(request, typed)
    want = asked(request)
    context = {"scope": want.scope, "time_range": want.time_range, "search": want.search}
    if request.GET.get("part") == "facets":
        return render(request, "telemetry/_facets.html", {**context, **facets(request, want)})
    context |= listed(request, want)
    if request.GET.get("part") == "list":
        return render(request, "telemetry/_traces_list.html", context)
    context |= {
        "chips": [
            ShownChip(chip, address(request.GET, q=[t for t in want.search.texts if t != chip.text], page=None))
            for chip in want.search.chips
        ],
        **saved_views.shared(request, "traces"),
        "hint": HINT,
        "values_url": reverse("traces-values"),
        "names": [*FACETS, "status", *RANGES],
        "base_url": settings.PORTAL.public_url,
        "hidden": own_fields(request.GET, "q", "range", "from", "to", "workspace", "sort"),
        "own_fields": own_fields(request.GET, "q", "sort"),
        "query": request.GET.urlencode(),
        "has_base": bool(request.GET.get("base")),
        "all_again": _whole(request, want),
    }
    return render(request, "telemetry/traces.html", context)


def _with_chip(request: HttpRequest, typed: str) -> HttpResponse:
    """To the page with one chip more, or to the trace whose id was typed."""
    if is_trace_id(typed):
        return redirect("trace", typed.lower())
    chips = [*request.GET.getlist("q"), *([parse(typed).text] if typed else [])]
    return redirect(address(request.GET, request.path, q=[*dict.fromkeys(chips)], add=None, page=None))


def listed(request: HttpRequest, want: Asked) -> dict[str, object]:
    """The list's rows, order and pages."""
    found = find_traces(want.search.filters, want.sort, want.descending, want.page, SIZE)
    longest = max((row.duration for row in found.rows), default=0) or 1
    first = (want.page - 1) * SIZE
    return {
        "lines": [line_of(row, longest) for row in found.rows],
        "columns": [
            (label, number, sort_url(request, want, name), order(want, name)) for name, label, number in COLUMNS
        ],
        "total": trace_stats.count(want.search.filters),
        "counted": trace_stats.MAX_COUNTED,
        "first": first + 1,
        "last": first + len(found.rows),
        "newer": address(request.GET, page=str(want.page - 1), part=None) if want.page > 1 else "",
        "older": address(request.GET, page=str(want.page + 1), part=None)
        if found.more and want.page < MAX_PAGES
        else "",
        "csv": address(request.GET, reverse("traces-csv"), page=None, part=None),
        "kept": kept(request.GET).urlencode(),
    }


def line_of(row: TraceRow, longest: float) -> Line:
    """A row as it is shown: what ran, who, and what went wrong."""
    agents = [name for name in row.values("agent") if name != row.root_name]
    kind = (
        "agent" if agents or row.values("agent") else "llm" if row.llm_calls else "tool" if row.tool_calls else "trace"
    )
    components = row.values("component")
    component = "workflow" if "workflow" in components else next(iter(components), "")
    return Line(
        row,
        component if component in ("workflow", "agent", "task") else kind,
        ", ".join(agents[:3]),
        ", ".join(row.values("error")[:2]),
        100 * row.duration / longest,
    )


def order(want: Asked, name: Sort) -> str:
    """The order of a column as `aria-sort` has it; empty where the list is not sorted by it."""
    return "" if name != want.sort else "descending" if want.descending else "ascending"


def sort_url(request: HttpRequest, want: Asked, name: Sort) -> str:
    """The address sorted by a column: the largest first, and the other way round where it is so already."""
    down = not (name == want.sort and want.descending)
    return address(request.GET, sort=f"-{name}" if down else name, page=None, part=None)


def facets(request: HttpRequest, want: Asked) -> dict[str, object]:
    """What the matching traces have, to narrow them down; and what is special in a
    region that was chosen in the chart."""
    found = trace_stats.facet_counts(want.search.filters)
    groups: list[tuple[str, list[FacetValue], list[FacetValue]]] = []
    outcomes = [("error", found.errors, "critical"), ("ok", found.traces - found.errors, "ok")]
    shown = [_value(request, want, "status", *one, most=found.traces) for one in outcomes]
    for value, number in found.values["usage"]:
        missing = _value(request, want, "usage", value, number, "warning", most=found.traces)
        shown.insert(1, replace(missing, value=f"usage {value}"))
    groups.append(("Outcome", shown, []))
    for name, heading in OFFERED:
        values = [
            _value(request, want, name, value, number, most=found.traces)
            for value, number in found.values[name][:MAX_VALUES]
        ]
        if values:
            groups.append((heading, values[:SHOWN], values[SHOWN:]))
    return {"groups": groups, "found": found, "special": _special(request, want, found), **_kept(found, want)}


def _kept(found: trace_stats.FacetCounts, want: Asked) -> dict[str, object]:
    """Why sampling kept the matching traces; how many it dropped in all is for those who see every workspace."""
    return {
        "kept_traces": [(KEPT.get(reason, "not decided yet"), number) for reason, number in found.kept],
        "trace_keep": 100 * settings.PORTAL.trace_keep,
        "dropped": next((one.traces for one in sampling.decisions() if one.reason == sampling.DROPPED), 0)
        if want.scope.slugs is None
        else None,
    }


def _value(
    request: HttpRequest, want: Asked, name: str, value: str, number: int, state: str = "", *, most: int
) -> FacetValue:
    text = Chip(name, "=", value).text
    chosen = text in want.search.texts
    others = [one for one in want.search.texts if one != text]
    url = address(request.GET, q=others if chosen else [*others, text], page=None, part=None)
    return FacetValue(value, number, 100 * number / most if most else 0, chosen, url, state)


def _special(request: HttpRequest, want: Asked, chosen: trace_stats.FacetCounts) -> str:
    """What stands out in a region, in words, against the time in which it was chosen
    (`base`, two times in milliseconds)."""
    start, _, end = request.GET.get("base", "").partition("-")
    base = ranges.parse({"from": start, "to": end}, timezone.now())
    if not start or base.problem:
        return ""
    search = search_of(without_duration(want.search.chips), want.scope.slugs, *times(base))
    known = frozenset(want.search.filters.facets)
    found = trace_stats.special(chosen, trace_stats.facet_counts(search.filters), known)
    if found is None:
        return f"{chosen.traces} of these; nothing is more frequent here than elsewhere"
    shares = f"{numbers.percent(100 * found.share)} here, {numbers.percent(100 * found.usual)} in all"
    return f"{found.times:.2g}× as often as usual: {found.name} = {found.value} ({shares})"


def _whole(request: HttpRequest, want: Asked) -> str:
    """The address before a region was chosen."""
    start, _, end = request.GET.get("base", "").partition("-")
    texts = [chip.text for chip in without_duration(want.search.chips)]
    return address(request.GET, q=texts, base=None, page=None, range=None, **{"from": start, "to": end})


@login_required
@require_GET
def figure(request: HttpRequest) -> HttpResponse:
    """The chart of the matching traces: a dot each."""
    want = asked(request)
    return JsonResponse(traces_figure.draw(trace_stats.dots(want.search.filters), want.time_range))


@login_required
@require_GET
def download(request: HttpRequest) -> HttpResponse:
    """The list as CSV, up to 10,000 traces."""
    want = asked(request)
    found = find_traces(want.search.filters, want.sort, want.descending, 1, CSV_ROWS)
    names = [name for name in TraceRow._fields if name not in ("facets", "first_seen", "last_seen")]
    file = CsvFile("traces.csv")
    file.add([*names, "url"])
    for row in found.rows:
        url = request.build_absolute_uri(reverse("trace", args=[row.trace_id]))
        file.add([*(getattr(row, name) for name in names), url])
    return file.response
