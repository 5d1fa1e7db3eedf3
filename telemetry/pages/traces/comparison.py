"""Two traces side by side, step by step: spans of one type and name are a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from telemetry.pages.traces.waterfall import failed, type_of, waterfall
from telemetry.store.reading.traces import Trace, TraceRow

MAX_STEPS = 200


@dataclass
class Step:
    """What the spans of one type and name did in a trace: how often, how long on the critical path, tokens and cost."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0
    critical: float = 0.0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Side:
    """A trace and its steps."""

    trace: TraceRow
    length: float
    critical: float
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """A step of both: `slower` is how many seconds more of the critical path the second one took."""

    type: str
    name: str
    first: Step | None
    second: Step | None
    slower: float

    @property
    def faster(self) -> float:
        """How many seconds less."""
        return -self.slower

    @property
    def sides(self) -> tuple[Step | None, Step | None]:
        """The step in the first and in the second one."""
        return self.first, self.second


def side_of(trace: Trace) -> Side:
    """A trace by its steps."""
    drawn = waterfall(trace.spans)
    side = Side(trace.summary, drawn.length, drawn.critical)
    for row in drawn.rows:
        span = row.span
        step = side.steps.setdefault((type_of(span), span.name), Step())
        step.calls += 1
        step.errors += failed(span)
        step.seconds += span.duration
        step.critical += sum(end - start for start, end in row.critical)
        if span.counted_kind == "llm_call":
            step.tokens += (span.input_tokens or 0) + (span.output_tokens or 0)
            step.cost += span.cost_usd or 0.0
    return side


def compare(first: Side, second: Side) -> Sequence[Compared]:
    """The steps of both, those first whose part of the critical path differs most."""
    found = []
    for kind, name in {**first.steps, **second.steps}:
        a, b = first.steps.get((kind, name)), second.steps.get((kind, name))
        slower = (b.critical if b else 0.0) - (a.critical if a else 0.0)
        found.append(Compared(kind, name, a, b, slower))
    return sorted(found, key=lambda one: -abs(one.slower))[:MAX_STEPS]
