"""A trace: its waterfall, what each span became, and what is to be known of it where it is not whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts import permissions
from core.ui import numbers
from telemetry.pages.addresses import kept
from telemetry.pages.traces import comparison, span_detail, trace_cost
from telemetry.pages.traces.exports import otlp_json
from telemetry.pages.traces.waterfall import Waterfall, failed, rows_json, waterfall, where_time_went
from telemetry.store.reading import trace_context, trace_stats
from telemetry.store.reading.trace_catalog import by_ids
from telemetry.store.reading.traces import Trace, TraceRow, read_content, read_trace

# A trace whose last span came so short ago may get more of them: exporters send every few seconds.
ARRIVING = timedelta(seconds=30)
KEPT = {
    "error": "kept because it has errors",
    "slow": "kept because it is among the slowest",
    "costly": "kept because it is among the costliest",
    "share": "kept as one of the share of all",
}
# How the bar "where the time went" colours types of spans.
COLOURS = {"llm": 0, "embed": 4, "tool": 2, "agent": 3, "workflow": 3, "http": 9, "db": 7, "retrieval": 1}


@dataclass(frozen=True)
class Part:
    """A stretch of the bar "where the time went", in percent of the critical path."""

    name: str
    share: float
    offset: float
    colour: int


@dataclass(frozen=True)
class Said:
    """The sentence at the top of a trace, and what else is to be known before one reads it."""

    state: str
    sentence: str
    notes: list[str]
    arriving: bool


@login_required
@require_GET
def page(request: HttpRequest, trace_id: str) -> HttpResponse:
    """The waterfall. `part=state` is its head while it still arrives; one that is not there says what is known of
    it."""
    scope = permissions.scope_of(request.user, request.GET)
    found = read_trace(trace_id, scope.slugs)
    if found is None or not found.spans:
        return _unknown(request, trace_id.lower(), scope.slugs)
    now = timezone.now()
    drawn = waterfall(found.spans)
    trace = found.summary
    peers = trace_stats.peers(trace, scope.slugs, now)
    own = frozenset({trace.workspace})
    everywhere = permissions.scope_of(request.user, {}).slugs
    elsewhere = [row.workspace for row in by_ids([trace_id], everywhere) if row.workspace != trace.workspace]
    context = {
        "trace": trace,
        "said": said_of(found, drawn, now),
        "drawn": drawn,
        "critical_share": 100 * drawn.critical / drawn.length if drawn.length else 0,
        "parts": parts_of(drawn),
        "peers": peers,
        "cached_share": 100 * trace.cached_tokens / trace.input_tokens if trace.input_tokens else 0,
        "faster": numbers.percent(100 * peers.faster),
        "error_names": ", ".join(trace.values("error")[:3]),
        "kept": kept(request.GET).urlencode(),
        # What follows is read of the same workspace, where another has a trace of this id too.
        "whose": urlencode({"workspace": trace.workspace}) if elsewhere or scope.chosen else "",
        "elsewhere": elsewhere,
        "scope": scope,
    }
    if request.GET.get("part") == "state":
        return render(request, "telemetry/_trace_state.html", context)
    if request.GET.get("part") == "data":
        return JsonResponse(rows_json(drawn))
    chosen = request.GET.get("span", "") or next((row.span.span_id for row in drawn.rows if failed(row.span)), "")
    span = next((row.span for row in drawn.rows if row.span.span_id == chosen), None) or found.spans[0]
    context |= {
        "data": rows_json(drawn),
        "selected": span.span_id,
        "detail": span_detail.detail_of(trace, span, own),
        "content": content_of(request, trace, span.span_id),
        "around": times_around(trace),
        "counts": trace_context.counts_of(trace),
        "slower": trace_context.next_slower(trace, scope.slugs),
        "previous": trace_context.previous(trace, scope.slugs),
    }
    return render(request, "telemetry/trace.html", context)


def content_of(request: HttpRequest, trace: TraceRow, span_id: str) -> list[tuple[str, str]]:
    """What people and models wrote, as far as it is kept and the person may read it: operators of the workspace may."""
    operated = permissions.operated_slugs(request.user)
    if operated is not None and trace.workspace not in operated:
        return []
    return span_detail.shown(read_content(trace.trace_id, span_id, frozenset({trace.workspace})))


def _unknown(request: HttpRequest, trace_id: str, slugs: frozenset[str] | None) -> HttpResponse:
    """The page of a trace that is not there: its usage may have been counted, and only sampling did not keep it."""
    records = trace_context.records_of_trace(trace_id, slugs) if len(trace_id) == 32 else []
    context = {
        "trace_id": trace_id,
        "is_id": len(trace_id) == 32,
        "records": records,
        "cost": sum(record.cost_usd or 0 for record in records),
    }
    return render(request, "telemetry/trace_unknown.html", context, status=404)


def said_of(trace: Trace, drawn: Waterfall, now: datetime) -> Said:
    """What the head says."""
    summary = trace.summary
    arriving = now - summary.last_seen < ARRIVING
    notes = [*missing_notes(trace, drawn)]
    for service, by in drawn.skew.items():
        notes.append(
            f"the clock of {service} is {numbers.seconds(by)} off: its spans are moved into those that asked for them"
        )
    if summary.kept in KEPT:
        notes.append(KEPT[summary.kept])
    if arriving:
        ago = max(0, (now - summary.last_seen).total_seconds())
        sentence = f"Still arriving: the last span came {numbers.seconds(round(ago))} ago"
        return Said("warning" if summary.errors else "", sentence, notes, True)
    errors = [row for row in drawn.rows if failed(row.span)]
    if not errors:
        return Said("ok", "Finished without an error", notes, False)
    deepest = max(errors, key=lambda row: (row.depth, -row.start))
    why = deepest.span.status_message or deepest.span.error_type or "failed"
    notes.insert(0, f"{deepest.span.name}: {why[:160]}")
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
    root = drawn.rows[0]
    if failed(root.span) and not root.is_orphan:
        return Said("critical", f"Failed, with {count}", notes, False)
    return Said("warning", f"Finished with {count}", notes, False)


def missing_notes(trace: Trace, drawn: Waterfall) -> list[str]:
    """What is not there of a trace."""
    summary, notes = trace.summary, []
    if not summary.has_root:
        notes.append("its root has not arrived: the spans at the top are those whose parent is missing")
    elif drawn.orphans:
        is_one = drawn.orphans == 1
        notes.append(
            f"{drawn.orphans} span{'' if is_one else 's'} at the top lack{'s' if is_one else ''} a parent that has not"
            " arrived"
        )
    if trace.cut:
        notes.append(f"only the first {len(trace.spans):,} of {summary.spans:,} spans are shown")
    elif summary.spans > len(trace.spans):
        notes.append(
            f"{summary.spans - len(trace.spans):,} of {summary.spans:,} spans were cut by sampling or retention"
        )
    return notes


def times_around(trace: TraceRow) -> str:
    """The stretch of time of a trace with a minute on either side, as parameters of a URL."""
    start = int(trace.start.timestamp() * 1000)
    return urlencode({"from": start - 60_000, "to": start + int(trace.duration * 1000) + 60_000})


def parts_of(drawn: Waterfall) -> list[Part]:
    """The critical path by type of span, for the bar."""
    found, offset = [], 0.0
    for name, seconds in where_time_went(drawn.rows):
        share = 100 * seconds / drawn.critical if drawn.critical else 0
        found.append(Part(name, share, offset, COLOURS.get(name, 8)))
        offset += share
    return found


def visible_trace(request: HttpRequest, trace_id: str) -> tuple[TraceRow, frozenset[str]]:
    """The trace in short that the reader may see, and its workspace. Raises Http404."""
    found = trace_context.find_trace(trace_id, permissions.scope_of(request.user, request.GET).slugs)
    if found is None:
        raise Http404("No such trace.")
    return found, frozenset({found.workspace})


@login_required
@require_GET
def span(request: HttpRequest, trace_id: str, span_id: str) -> HttpResponse:
    """What is known of one span, as the part of the page beside the waterfall."""
    trace, slugs = visible_trace(request, trace_id)
    found = trace_context.read_span(trace, span_id)
    if found is None:
        raise Http404("No such span.")
    context = {
        "trace": trace,
        "detail": span_detail.detail_of(trace, found, slugs),
        "content": content_of(request, trace, span_id),
        "around": times_around(trace),
    }
    return render(request, "telemetry/_span.html", context)


@login_required
@require_GET
def records(request: HttpRequest, trace_id: str) -> HttpResponse:
    """What the trace was counted as."""
    trace, slugs = visible_trace(request, trace_id)
    found = trace_context.records_of_trace(trace.trace_id, slugs)
    return render(request, "telemetry/trace_records.html", {**_tabs(request, trace), "records": found})


def _tabs(request: HttpRequest, trace: TraceRow) -> dict[str, object]:
    """What the tabs of a trace's pages show."""
    return {
        "trace": trace,
        "around": times_around(trace),
        "counts": trace_context.counts_of(trace),
        "whose": permissions.scope_of(request.user, request.GET).query,
    }


@login_required
@require_GET
def cost(request: HttpRequest, trace_id: str) -> HttpResponse:
    """What the trace cost, by agent and model."""
    found = read_trace(trace_id, permissions.scope_of(request.user, request.GET).slugs)
    if found is None:
        raise Http404("No such trace.")
    calls = trace_cost.counted(waterfall(found.spans).rows)
    context = {
        "rows": trace_cost.costs(calls),
        "dearest": trace_cost.dearest(calls),
        "calls": len(calls),
        "cost": sum(span.cost_usd or 0.0 for span, _ in calls),
    }
    return render(request, "telemetry/trace_cost.html", {**_tabs(request, found.summary), **context})


@login_required
@require_GET
def otlp(request: HttpRequest, trace_id: str) -> HttpResponse:
    """The trace as a file of OTLP JSON."""
    found = read_trace(trace_id, permissions.scope_of(request.user, request.GET).slugs)
    if found is None:
        raise Http404("No such trace.")
    response = JsonResponse(otlp_json(found))
    response["Content-Disposition"] = f'attachment; filename="trace-{found.summary.trace_id}.json"'
    return response


@login_required
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """Two traces side by side: what took longer, cost more, or was called more often."""
    slugs = permissions.scope_of(request.user, request.GET).slugs
    found = [read_trace(one, slugs) for one in request.GET.getlist("id")[:2]]
    traces = [one for one in found if one is not None]
    sides = [comparison.side_of(one) for one in traces]
    rows = comparison.compare(*sides) if len(sides) == 2 else []
    ids = [one.summary.trace_id for one in traces]
    others = [one for one in trace_context.alike(traces[0].summary, slugs) if one.trace_id not in ids] if traces else []
    return render(request, "telemetry/trace_compare.html", {"sides": sides, "rows": rows, "others": others})
