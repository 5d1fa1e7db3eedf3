"""The traces behind an alert: those of its time and labels, and the three that show the fault best."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from alerts.evidence.origins import counted_by, origin_window
from alerts.models import Alert
from alerts.notify.transports.contract import TraceLine
from core.ui import numbers
from telemetry.store.reading.traces import Sort, TraceFilters, TraceRow, find_traces
from usage.catalog import Family

SHOWN = 3
# Labels of records, and what traces call them.
FACETS = {
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "tool_name": "tool",
    "agent_id": "agent",
    "team": "team",
    "component": "component",
}
USAGE_MISSING = ("usage", "missing")


@dataclass(frozen=True)
class Behind:
    """The traces that show the fault best, what they are the most of, and the address of all that match."""

    traces: list[TraceRow]
    why: str
    url: str


@dataclass(frozen=True)
class Shows:
    """What shows a fault best: traces that have `facet`, if it is set, in this order."""

    sort: Sort
    why: str
    facet: tuple[str, str] | None = None


def behind(alert: Alert, slugs: Collection[str] | None, now: dt.datetime) -> Behind:
    """The traces of the alert's time that have its labels, of the workspaces that the reader sees."""
    counted = counted_by(alert.rule)
    labels = {**alert.labels, **(counted[1] if counted else {})}
    facets = tuple((facet, labels[name]) for name, facet in FACETS.items() if labels.get(name))
    window = origin_window(alert, now)
    scope = None if slugs is None else frozenset(slugs)
    if labels.get("workspace"):
        scope = frozenset({labels["workspace"]}) if scope is None else scope & {labels["workspace"]}
    filters = TraceFilters(scope, window.start, window.end, facets)
    for shows in ways_of(counted[0] if counted else None):
        wanted = filters if shows.facet is None else replace(filters, facets=(*facets, shows.facet))
        found = find_traces(wanted, shows.sort, size=SHOWN).rows
        if found:
            break
    query = [("q", f"{name}={value}") for name, value in wanted.facets]
    if labels.get("workspace"):
        query.append(("workspace", labels["workspace"]))
    query += [("from", str(int(window.start.timestamp() * 1000))), ("to", str(int(window.end.timestamp() * 1000)))]
    return Behind(found, shows.why, f"{reverse('traces')}?{urlencode([*query, ('sort', f'-{shows.sort}')])}")


def ways_of(family: Family | None) -> list[Shows]:
    """What shows a metric's fault, the best first: the slowest, costliest or largest, calls
    without usage, else those with most errors."""
    name = family.name if family else ""
    errors = Shows("errors", "those with most errors")
    if "cost" in name:
        return [Shows("cost_usd", "the costliest")]
    if family is not None and family.counted.get("usage") == "failure":
        return [Shows("start", "the newest whose usage is missing", USAGE_MISSING), errors]
    if "token" in name:
        return [Shows("tokens", "those with most tokens")]
    if family is not None and family.type == "histogram" and name.endswith("seconds"):
        return [Shows("duration", "the slowest")]
    return [errors]


def lines_of(alert: Alert, now: dt.datetime) -> tuple[TraceLine, ...]:
    """The same for a message: of the workspace whose rule it is, as the message goes to that workspace's channels."""
    if alert.rule.external:
        return ()
    slugs = None if alert.rule.workspace is None else {alert.rule.workspace.slug}
    return tuple(_line(trace) for trace in behind(alert, slugs, now).traces)


def _line(trace: TraceRow) -> TraceLine:
    parts = [numbers.seconds(trace.duration)]
    if trace.errors:
        parts.append(f"{trace.errors} error{'' if trace.errors == 1 else 's'}")
    if trace.cost_usd:
        parts.append(numbers.usd(trace.cost_usd))
    name = trace.root_name or f"trace {trace.trace_id[:8]}"
    url = f"{settings.PORTAL.public_url}{reverse('trace', args=[trace.trace_id])}"
    return TraceLine(text=f"{name[:80]}: {', '.join(parts)}".replace("\u00a0", " "), url=url)
