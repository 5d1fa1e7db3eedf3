"""A trace as a waterfall: its spans as a tree in the order of their starts, moved where clocks disagree, with sums and
the critical path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from telemetry.store.reading.traces import Span

ERROR = 2
# OpenTelemetry's kinds of spans that serve what another service asked for.
SERVING = (2, 5)
# Attributes with the time to the first token, and what a second is in their unit.
FIRST_TOKEN = {
    "gen_ai.server.time_to_first_token": 1.0,
    "gen_ai.response.time_to_first_chunk": 1.0,
    "llm.time_to_first_token": 1.0,
    "ai.response.msToFirstChunk": 1000.0,
}
DATABASE, MESSAGING, HTTP = (
    ("db.system", "db.system.name"),
    ("messaging.system",),
    ("http.request.method", "http.method"),
)


@dataclass(slots=True)
class Row:
    """A span in the waterfall. Times are seconds since the trace's start, `shift` how far it was moved. Sums are of it
    and all below."""

    span: Span
    depth: int
    start: float
    end: float
    shift: float = 0.0
    parent: int = -1
    children: list[int] = field(default_factory=list)
    critical: list[tuple[float, float]] = field(default_factory=list)
    below: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    is_orphan: bool = False


@dataclass(frozen=True)
class Waterfall:
    """The rows in the order in which they are shown. `span` and `critical` are seconds, `skew` the largest shift of
    each service (seconds)."""

    rows: list[Row]
    length: float
    critical: float
    orphans: int
    skew: dict[str, float]


def waterfall(spans: Sequence[Span]) -> Waterfall:
    """The waterfall of a trace's spans. Those whose parent is not there stand at the top, beside the root."""
    if not spans:
        return Waterfall([], 0.0, 0.0, 0, {})
    below, tops = _families(spans)
    first = min(span.start for span in spans)
    starts = {span.span_id: (span.start - first).total_seconds() for span in spans}
    rows = _in_order(tops, below, starts)
    skew = _straighten(rows)
    _sum_up(rows)
    early = min(row.start for row in rows)
    for row in rows:
        row.start, row.end = row.start - early, row.end - early
    length = max(row.end for row in rows)
    _mark_critical(rows)
    critical = sum(end - start for row in rows for start, end in row.critical)
    return Waterfall(rows, length, critical, sum(row.is_orphan for row in rows), skew)


def _families(spans: Sequence[Span]) -> tuple[dict[str, list[Span]], list[Span]]:
    """The children of each span, and the spans at the top. A span that is its own ancestor is at the top too."""
    ids = {span.span_id for span in spans}
    below: dict[str, list[Span]] = {}
    tops = []
    for span in spans:
        if span.parent_span_id in ids and span.parent_span_id != span.span_id:
            below.setdefault(span.parent_span_id, []).append(span)
        else:
            tops.append(span)
    reached: set[str] = set()
    _reach([span.span_id for span in tops], below, reached)
    # What is left goes round in a circle: it is cut open at its earliest span.
    for span in spans:
        if span.span_id not in reached:
            tops.append(span)
            below[span.parent_span_id] = [one for one in below[span.parent_span_id] if one is not span]
            _reach([span.span_id], below, reached)
    # The root, then what lacks its parent.
    return below, sorted(tops, key=lambda span: (bool(span.parent_span_id), span.start, span.span_id))


def _reach(ids: list[str], below: dict[str, list[Span]], reached: set[str]) -> None:
    """Add spans and all that is below them."""
    reached.update(ids)
    while ids:
        found = [child.span_id for child in below.get(ids.pop(), []) if child.span_id not in reached]
        reached.update(found)
        ids += found


def _in_order(tops: list[Span], below: dict[str, list[Span]], starts: dict[str, float]) -> list[Row]:
    """Depth first, children by their starts."""
    rows: list[Row] = []
    waiting = [(span, 0, -1) for span in reversed(tops)]
    while waiting:
        span, depth, parent = waiting.pop()
        start = starts[span.span_id]
        place = len(rows)
        rows.append(Row(span, depth, start, start + span.duration, parent=parent))
        if parent >= 0:
            rows[parent].children.append(place)
        else:
            rows[place].is_orphan = bool(span.parent_span_id)
        children = sorted(below.get(span.span_id, []), key=lambda one: (starts[one.span_id], one.span_id))
        waiting += [(child, depth + 1, place) for child in reversed(children)]
    return rows


def _straighten(rows: list[Row]) -> dict[str, float]:
    """Move what another service did into the span that asked for it, where the clocks of the two say that it was
    outside of it.

    Nothing else can be known of clocks: a child of the same service, and one that is longer than its parent, stays
    where it is.
    """
    skew: dict[str, float] = {}
    for row in rows:
        if row.parent < 0:
            continue
        above = rows[row.parent]
        row.shift = above.shift if row.span.service == above.span.service else 0.0
        row.start, row.end = row.start + row.shift, row.end + row.shift
        length, room = row.end - row.start, above.end - above.start
        outside = row.start < above.start or row.end > above.end
        if row.span.service != above.span.service and row.span.span_kind in SERVING and outside and length <= room:
            by = above.start + (room - length) / 2 - row.start
            row.start, row.end, row.shift = row.start + by, row.end + by, row.shift + by
            skew[row.span.service] = max(skew.get(row.span.service, 0.0), abs(by))
    return skew


def _sum_up(rows: list[Row]) -> None:
    """Tokens, cost and errors of each span and all below it; what counts once is summed once."""
    for row in rows:
        if row.span.counted_kind == "llm_call":
            row.input_tokens, row.output_tokens = row.span.input_tokens or 0, row.span.output_tokens or 0
            row.cost = row.span.cost_usd or 0.0
        row.errors = int(failed(row.span))
    for row in reversed(rows):
        if row.parent >= 0:
            above = rows[row.parent]
            above.below += row.below + 1
            above.errors += row.errors
            above.input_tokens += row.input_tokens
            above.output_tokens += row.output_tokens
            above.cost += row.cost


def _mark_critical(rows: list[Row]) -> None:
    """The spans that the end waited for: from the root's end backwards, always the child that ended last before that.

    What a span did itself between its children is its own part of the path.
    """
    root = next((place for place, row in enumerate(rows) if row.parent < 0 and not row.is_orphan), 0)
    waiting = [(root, rows[root].end)]
    while waiting:
        place, until = waiting.pop()
        row = rows[place]
        at = min(until, row.end)
        for child in sorted(row.children, key=lambda one: -rows[one].end):
            inner = rows[child]
            end = min(inner.end, at)
            if inner.start >= at or end <= inner.start or end <= row.start:
                continue
            if end < at:
                row.critical.append((end, at))
            waiting.append((child, end))
            at = max(inner.start, row.start)
        if at > row.start:
            row.critical.append((row.start, at))


def failed(span: Span) -> bool:
    """Whether it ended with an error."""
    return span.status == ERROR or bool(span.error_type)


def first_token(given: Mapping[str, Any]) -> float | None:
    """Seconds until the first token of an answer came, where the span's attributes say so."""
    for name, second in FIRST_TOKEN.items():
        value = given.get(name)
        if isinstance(value, int | float):
            return float(value) / second
    return None


def type_of(span: Span) -> str:
    """What a span is, in a word: its kind of work, else what its attributes tell."""
    if span.kind in ("llm", "tool", "agent", "gateway"):
        if span.operation == "embeddings":
            return "embed"
        return "workflow" if span.operation == "invoke_workflow" else span.kind
    text = span.attributes_json or ""
    for names, word in ((DATABASE, "db"), (MESSAGING, "queue"), (HTTP, "http")):
        if any(f'"{name}"' in text for name in names):
            return word
    return "retrieval" if span.operation in ("retrieval", "retrieve") else "span"


def where_time_went(rows: Sequence[Row]) -> list[tuple[str, float]]:
    """The critical path's seconds by type of span, the largest first."""
    spent: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        for start, end in row.critical:
            spent[type_of(row.span)] += end - start
    return sorted(spent.items(), key=lambda one: -one[1])


# What a row is in the page's data, by place.
COLUMNS = (
    "id", "parent", "depth", "type", "name", "who", "start", "duration", "failed", "input", "output", "cost",
    "counted", "orphan", "below", "errors", "sumInput", "sumOutput", "sumCost", "critical", "why", "shift", "first",
)  # fmt: skip


def rows_json(drawn: Waterfall) -> dict[str, object]:
    """The waterfall for the page's script: `columns` says what stands at which place of a row; times are
    milliseconds."""
    return {"columns": COLUMNS, "length": _ms(drawn.length), "rows": [_row_json(row) for row in drawn.rows]}


def _row_json(row: Row) -> list[object]:
    span = row.span
    is_failed = failed(span)
    first = first_token(span.attributes) if span.kind == "llm" else None
    why = (span.status_message or span.error_type)[:200] if is_failed else ""
    return [
        span.span_id, row.parent, row.depth, type_of(span), span.name[:200], span.agent or span.service, _ms(row.start),
        _ms(row.end - row.start), int(is_failed), span.input_tokens, span.output_tokens, span.cost_usd,
        int(bool(span.counted_kind)), int(row.is_orphan), row.below, row.errors, row.input_tokens, row.output_tokens,
        round(row.cost, 9), [[_ms(start), _ms(end)] for start, end in row.critical], why, _ms(row.shift),
        None if first is None else _ms(first),
    ]  # fmt: skip


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
