"""How much a service's metrics grew, and the calls that this growth stands for.

A cumulative stream tells its sum since its start, again and again; a delta stream what is new. Both may be sent twice.
What is known of a stream is its last point, so that each part of it counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from telemetry.conventions.errors import category, tool_error
from telemetry.conventions.metrics import Calls, Measure, ToolCalls, calls_of, measure_of
from telemetry.otlp.signals import RawMetric, text_of
from usage.records.records import AnyRecord, LlmCall, ToolCall


class Stream(NamedTuple):
    """A stream of points: of one metric, whose calls, and, of calls that failed, with which error."""

    metric: str
    calls: Calls | ToolCalls
    measure: Measure
    error: str


class Reading(msgspec.Struct, gc=False):
    """What a request says of a stream, its points with other attributes added up; times in nanoseconds."""

    cumulative: bool
    start: int
    time: int
    count: int = 0
    total: float = 0.0


class Growth(NamedTuple):
    """By how much a stream grew: how many were measured, and their sum."""

    measured: int
    total: float


def readings(metrics: Iterable[RawMetric]) -> dict[Stream, Reading]:
    """What a request says of the streams that measure calls of models or tools."""
    found: dict[Stream, Reading] = {}
    for metric in metrics:
        for point in metric.points:
            measure = measure_of(metric.name, point.attributes)
            if measure is None:
                continue
            error = text_of(point.attributes.get("error.type")) if measure in ("calls", "tool_calls") else ""
            stream = Stream(metric.name, calls_of(metric.source, point.attributes, measure), measure, error)
            reading = found.setdefault(stream, Reading(metric.cumulative, point.start, point.time))
            reading.start, reading.time = min(reading.start, point.start), max(reading.time, point.time)
            reading.count += point.count or 0
            reading.total += point.total
    return found


def growth(reading: Reading, known: Reading | None, oldest: float) -> Growth:
    """By how much a stream grew since its last known point. Of a cumulative stream that nobody knew and that began
    before `oldest` (epoch seconds) only what comes from now on counts."""
    whole = Growth(reading.count, reading.total)
    if known is None:
        return whole if not reading.cumulative or reading.start / 1e9 >= oldest else Growth(0, 0)
    if reading.time <= known.time:
        return Growth(0, 0)
    restarted = reading.start > known.time or reading.count < known.count or reading.total < known.total
    if not reading.cumulative or restarted:
        return whole
    return Growth(reading.count - known.count, reading.total - known.total)


# Each point of these was one call.
COUNTING: tuple[Measure, ...] = ("calls", "tool_calls", "input", "output")


class Sums(msgspec.Struct, gc=False):
    """What grew of one application's calls of one model or tool; `at` in epoch seconds."""

    at: float = 0.0
    measures: dict[Measure, Growth] = msgspec.field(default_factory=dict)
    errors: dict[str, int] = msgspec.field(default_factory=dict)

    def of(self, measure: Measure) -> Growth:
        """How a measure grew."""
        return self.measures.get(measure, Growth(0, 0))

    @property
    def succeeded(self) -> int:
        """How many calls succeeded: counters of tokens do not tell, so that what they count is at least one."""
        counted = max(self.of(one).measured for one in COUNTING)
        return counted or int(self.of("input").total + self.of("output").total > 0)


def summed(grown: Mapping[Stream, Growth], read: Mapping[Stream, Reading]) -> dict[Calls | ToolCalls, Sums]:
    """What grew, by whose calls."""
    found: dict[Calls | ToolCalls, Sums] = {}
    for stream, growth in grown.items():
        sums = found.setdefault(stream.calls, Sums())
        sums.at = max(sums.at, read[stream].time / 1e9)
        if stream.error:
            sums.errors[stream.error] = sums.errors.get(stream.error, 0) + growth.measured
        else:
            before = sums.of(stream.measure)
            sums.measures[stream.measure] = Growth(before.measured + growth.measured, before.total + growth.total)
    return found


def shares(total: float, parts: int, count: int) -> list[int | None]:
    """A sum of whole numbers over the first `parts` of `count` calls, evenly; None for the others."""
    if not parts:
        return [None] * count
    each, rest = divmod(int(total), parts)
    return [*([each + 1] * rest), *([each] * (parts - rest)), *([None] * (count - parts))]


def records(calls: Calls | ToolCalls, sums: Sums) -> Sequence[AnyRecord]:
    """The calls that a growth stands for. Each has its share of tokens, cost and duration, as metrics tell sums
    only."""
    return tool_calls(calls, sums) if isinstance(calls, ToolCalls) else model_calls(calls, sums)


def tool_calls(calls: ToolCalls, sums: Sums) -> list[ToolCall]:
    """The calls of a tool."""
    took = sums.of("tool_calls")
    common = {
        "at": sums.at,
        "team": calls.team,
        "component": calls.service,
        "server_id": calls.server,
        "tool_name": calls.tool,
    }
    mean = took.total / took.measured if took.measured else None
    found = [ToolCall(**common, outcome="success", duration_seconds=mean) for _ in range(took.measured)]  # type: ignore[arg-type]  # a mapping of several types
    for error, failed in sums.errors.items():
        kind = tool_error(error)
        outcome = "timeout" if kind == "timeout" else "error"
        found += [ToolCall(**common, outcome=outcome, error_kind=kind) for _ in range(failed)]  # type: ignore[arg-type]
    return found


def model_calls(calls: Calls, sums: Sums) -> list[LlmCall]:
    """The calls of a model."""
    count = sums.succeeded
    tokens: dict[Measure, list[int | None]] = {}
    for measure in ("input", "output", "cached", "reasoning"):
        grew = sums.of(measure)
        parts = min(grew.measured, count) or (count if grew.total > 0 else 0)
        tokens[measure] = shares(grew.total, parts, count)
    took, cost = sums.of("calls"), sums.of("cost")
    common = {
        "at": sums.at,
        "team": calls.team,
        "component": calls.service,
        "provider": calls.provider,
        "model": calls.model,
        "operation": calls.operation,
    }
    found = [
        LlmCall(
            **common,  # type: ignore[arg-type]  # a mapping of several types
            prompt_tokens=tokens["input"][place],
            completion_tokens=tokens["output"][place],
            cached_tokens=tokens["cached"][place],
            reasoning_tokens=tokens["reasoning"][place],
            cost_usd=cost.total / count if cost.measured else None,
            duration_seconds=took.total / took.measured if took.measured else None,
        )
        for place in range(count)
    ]
    for error, failed in sums.errors.items():
        kind = category(error)
        outcome = {"rate_limit": "rate_limited", "timeout": "timeout"}.get(kind, "error")
        found += [LlmCall(**common, outcome=outcome, error_type=kind) for _ in range(failed)]  # type: ignore[arg-type]
    return found
