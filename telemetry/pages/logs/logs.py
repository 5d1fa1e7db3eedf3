"""Logs: what was written, by whom, in which trace. The list, its chart, its patterns; live
tail; a record's neighbours; download."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.accounts.models import Workspace
from core.ui import time_range as ranges
from core.ui.csv_file import cell
from telemetry.pages import saved_views
from telemetry.pages.addresses import address, own_fields
from telemetry.pages.chips import Chip, is_trace_id, parse, parse_all
from telemetry.pages.logs import logs_figure
from telemetry.pages.logs.log_search import HINT, NAMES, LogSearch, search_of
from telemetry.pages.logs.patterns import fold, patterns_of
from telemetry.pages.traces.span_detail import shown
from telemetry.pages.traces.trace_search import times
from telemetry.pages.traces.traces import ShownChip
from telemetry.store.reading import logs
from telemetry.store.reading.logs import LEVELS, Log
from telemetry.store.reading.places import Place, place_of

SIZE, TAIL_SIZE, CONTEXT_LINES = 100, 200, 5
DOWNLOAD_LINES, DOWNLOAD_PAGE = 100_000, 2_000
DEFAULT_RANGE = "6h"
COLUMNS = ("at", "severity", "level", "service", "scope", "event_name", "body", "exception_type", "trace_id", "span_id")


@dataclass(frozen=True)
class Asked:
    """What a request asks for; `before` is where the page before ended."""

    scope: permissions.Scope
    time_range: ranges.TimeRange
    search: LogSearch
    before: Place | None


def asked(request: HttpRequest) -> Asked:
    """The request's search; what cannot be read is as if it were not there."""
    scope = permissions.scope_of(request.user, request.GET)
    given = request.GET if {"range", "from", "to"} & set(request.GET) else {"range": DEFAULT_RANGE}
    time_range = ranges.parse(given, timezone.now())
    search = search_of(parse_all(request.GET.getlist("q")), scope.slugs, *times(time_range))
    return Asked(scope, time_range, search, place_of(request.GET.get("before", "")))


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The list with its chart; `part=patterns` and `part=tail` are its parts. What is
    typed becomes a chip of the address."""
    if "add" in request.GET:
        return _with_chip(request, request.GET["add"].strip())
    want = asked(request)
    if request.GET.get("part") == "patterns":
        return render(request, "telemetry/_patterns.html", {"patterns": patterns(request, want)})
    if request.GET.get("part") == "counts":
        return render(request, "telemetry/_log_counts.html", counts(want))
    if request.GET.get("part") == "tail":
        return tail(request, want)
    found, place = logs.find_logs(want.search.filters, want.before, SIZE)
    context = {
        "scope": want.scope,
        "time_range": want.time_range,
        "search": want.search,
        "lines": found,
        **of_lines(request),
        "older": address(request.GET, before=place.text) if place else "",
        "newest": address(request.GET, before=None) if want.before else "",
        "chips": [
            ShownChip(chip, address(request.GET, q=[t for t in want.search.texts if t != chip.text], before=None))
            for chip in want.search.chips
        ],
        "levels": _levels(request, want),
        "services": _services(request, want),
        **saved_views.shared(request, "logs"),
        "hint": HINT,
        "values_url": reverse("logs-values"),
        "names": NAMES,
        "hidden": own_fields(request.GET, "q", "range", "from", "to", "workspace"),
        "own_fields": own_fields(request.GET, "q"),
        "query": address(request.GET, before=None)[1:],
        "kept_days": settings.PORTAL.retention_logs_days,
        "base_url": settings.PORTAL.public_url,
    }
    return render(request, "telemetry/logs.html", context)


def of_lines(request: HttpRequest) -> dict[str, object]:
    """What lines are shown with: whose content the person may read, and the search without its pattern."""
    others = [one for one in request.GET.getlist("q") if parse(one).name != "pattern"]
    alike = address(request.GET, q=others, before=None, part=None, since=None)
    return {"operated": operated(request), "alike": f"{reverse('logs')}{alike}"}


def operated(request: HttpRequest) -> frozenset[str]:
    """The workspaces whose content the person may read."""
    slugs = permissions.operated_slugs(request.user)
    return frozenset(Workspace.objects.values_list("slug", flat=True)) if slugs is None else slugs


def _with_chip(request: HttpRequest, typed: str) -> HttpResponse:
    text = f"trace={typed.lower()}" if is_trace_id(typed) else parse(typed).text if typed else ""
    chips = [*request.GET.getlist("q"), *([text] if text else [])]
    return redirect(address(request.GET, request.path, q=[*dict.fromkeys(chips)], add=None, before=None))


def _levels(request: HttpRequest, want: Asked) -> list[tuple[str, str, bool]]:
    """Each level with the address that asks for it and all above, and whether it is the one."""
    others = [chip.text for chip in want.search.chips if chip.name != "severity"]
    found = [("all", address(request.GET, q=others, before=None), not want.search.filters.severity)]
    for name in ("info", "warn", "error"):
        url = address(request.GET, q=[*others, f"severity={name}"], before=None)
        found.append((name, url, want.search.filters.severity == LEVELS[name]))
    return found


def _services(request: HttpRequest, want: Asked) -> list[tuple[str, str]]:
    """The services that may be chosen."""
    others = [chip.text for chip in want.search.chips if chip.name != "service"]
    return [
        (name, address(request.GET, q=[*others, Chip("service", "=", name).text], before=None))
        for name in logs.services(want.scope.slugs)[:50]
    ]


def patterns(request: HttpRequest, want: Asked) -> list[tuple[object, str]]:
    """The patterns of the newest lines that match against those of as long before; each
    with the address of its lines."""
    filters = want.search.filters
    length = filters.end - filters.start
    before = replace(filters, start=filters.start - length, end=filters.start)
    found = patterns_of(logs.counted_lines(filters), logs.counted_lines(before))
    others = [chip.text for chip in want.search.chips if chip.name != "pattern"]
    return [
        (one, address(request.GET, q=[*others, Chip("pattern", "=", one.text).text], part=None, before=None))
        for one in found
    ]


def counts(want: Asked) -> dict[str, object]:
    """How many lines match, how many of them are errors; about, where they are too many to be counted at once."""
    found = logs.histogram(want.search.filters, 1)
    return {
        "lines": sum(one.records for one in found.bins),
        "errors": sum(one.errors for one in found.bins),
        "estimated": found.estimated,
        "time_range": want.time_range,
        "kept_days": settings.PORTAL.retention_logs_days,
    }


def tail(request: HttpRequest, want: Asked) -> HttpResponse:
    """The lines since the newest one that the page has (`since`, microseconds of the Unix epoch), the newest first."""
    try:
        since = datetime.fromtimestamp(int(request.GET.get("since", "0")) / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        raise Http404("since is a time in microseconds of the Unix epoch.") from None
    filters = replace(want.search.filters, start=max(since, want.search.filters.start), end=timezone.now())
    found, _ = logs.find_logs(filters, size=TAIL_SIZE)
    return render(request, "telemetry/_log_lines.html", {"lines": found, **of_lines(request)})


@login_required
@require_GET
def figure(request: HttpRequest) -> HttpResponse:
    """The chart of the matching lines."""
    want = asked(request)
    return JsonResponse(logs_figure.draw(logs.histogram(want.search.filters, logs_figure.BINS), want.time_range))


@login_required
@require_GET
def around(request: HttpRequest, place: str) -> HttpResponse:
    """What the same service wrote before and after a line."""
    wanted = place_of(place)
    slugs = permissions.scope_of(request.user, request.GET).slugs
    found = logs.read_log(wanted.id, wanted.at, slugs) if wanted else None
    if found is None:
        raise Http404("No such line.")
    before, after = logs.around(found, slugs, CONTEXT_LINES)
    return render(request, "telemetry/_log_context.html", {"log": found, "before": before, "after": after})


@login_required
@require_GET
def content(request: HttpRequest, place: str) -> HttpResponse:
    """What people and models wrote of a line, masked, as far as it is kept: for operators of its workspace."""
    wanted = place_of(place)
    slugs = permissions.operated_slugs(request.user)
    found = logs.read_content(wanted.id, wanted.at, slugs) if wanted else {}
    if not found:
        raise Http404("No such content, or it is not yours to read.")
    return render(request, "telemetry/_log_content.html", {"content": shown(found)})


@login_required
@require_GET
def download(request: HttpRequest, form: str) -> HttpResponseBase:
    """The matching lines as NDJSON or CSV, the newest first, up to 100,000."""
    want = asked(request)
    write = _ndjson if form == "ndjson" else _csv
    content_type = "application/x-ndjson" if form == "ndjson" else "text/csv; charset=utf-8"
    response = StreamingHttpResponse(write(_pages(want.search)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="logs.{form}"'
    return response


def _pages(search: LogSearch) -> Iterator[list[Log]]:
    place: Place | None = None
    for _ in range(DOWNLOAD_LINES // DOWNLOAD_PAGE):
        found, place = logs.find_logs(search.filters, place, DOWNLOAD_PAGE)
        yield found
        if place is None:
            return


def _fields(log: Log) -> dict[str, object]:
    return {name: log.at.isoformat() if name == "at" else getattr(log, name) for name in COLUMNS}


def _ndjson(pages: Iterator[list[Log]]) -> Iterator[bytes]:
    for page in pages:
        lines = ({**_fields(log), "attributes": log.attributes, "resource": log.resource} for log in page)
        yield b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def _csv(pages: Iterator[list[Log]]) -> Iterator[bytes]:
    head: list[object] = [*COLUMNS]
    for page in pages:
        text = io.StringIO()
        writer = csv.writer(text)
        if head:
            writer.writerow(head)
            head = []
        writer.writerows([cell(value) for value in _fields(log).values()] for log in page)
        yield text.getvalue().encode()


def pattern_of(log: Log) -> str:
    """The filter of the lines that are like this one."""
    return Chip("pattern", "=", fold(log.body)).text


def log_url(log: Log, name: str) -> str:
    """The address of a part of a line: its neighbours (`log-around`), its content (`log-content`)."""
    return reverse(name, args=[Place(log.at, log.digest).text])
