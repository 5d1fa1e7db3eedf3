"""What a trace cost: its calls of models by agent and model, and the costliest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telemetry.pages.traces.waterfall import Row
from telemetry.store.reading.traces import Span

DEAREST = 20


@dataclass
class CostRow:
    """The calls of a model by an agent: tokens, USD, percent of the trace's cost; `unpriced` are those of which no cost
    is known."""

    agent: str
    provider: str
    model: str
    calls: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0
    share: float = 0.0


def agents_of(rows: Sequence[Row]) -> list[str]:
    """Whose work each row is: the agent that it names, else that of the row above."""
    found: list[str] = []
    for row in rows:
        named = row.span.agent or (row.span.name if row.span.kind == "agent" else "")
        found.append(named or (found[row.parent] if row.parent >= 0 else ""))
    return found


def counted(rows: Sequence[Row]) -> list[tuple[Span, str]]:
    """The calls of models that counted, with whose they are."""
    return [
        (row.span, agent)
        for row, agent in zip(rows, agents_of(rows), strict=True)
        if row.span.counted_kind == "llm_call"
    ]


def costs(calls: Sequence[tuple[Span, str]]) -> list[CostRow]:
    """Calls by agent and model, the costliest first."""
    found: dict[tuple[str, str, str], CostRow] = {}
    for span, agent in calls:
        key = (agent, span.provider, span.model)
        row = found.setdefault(key, CostRow(*key))
        row.calls += 1
        row.unpriced += span.cost_usd is None
        row.input_tokens += span.input_tokens or 0
        row.cached_tokens += span.cached_tokens or 0
        row.output_tokens += span.output_tokens or 0
        row.reasoning_tokens += span.reasoning_tokens or 0
        row.cost += span.cost_usd or 0.0
    total = sum(row.cost for row in found.values()) or 1.0
    for row in found.values():
        row.share = 100 * row.cost / total
    return sorted(found.values(), key=lambda row: (-row.cost, -row.calls, row.agent, row.model))


def dearest(calls: Sequence[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """The costliest calls."""
    priced = [one for one in calls if one[0].cost_usd]
    return sorted(priced, key=lambda one: -(one[0].cost_usd or 0.0))[:DEAREST]
