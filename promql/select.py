"""Which samples a query needs, fetched once per distinct need, and the latest of them at each step."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from promql.functions.info import info_matchers
from promql.labels import Matcher, derive
from promql.limits import Budget
from promql.source import Block, Hints, Source, is_stale, snapshot_of
from promql.sums import take
from promql.syntax import Aggregate, At, Binary, Call, Negate, Node, Paren, Selector, Subquery, children
from promql.values import Bools, Floats, Ints, Vector, join


@dataclass(frozen=True)
class Need:
    """One call of Source.select."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    hints: Hints


@dataclass(frozen=True)
class Span:
    """The evaluation times of a part of the query, and what stands around it."""

    start_ms: int
    end_ms: int
    step_ms: int
    func: str = ""
    grouping: tuple[str, ...] | None = None
    by: bool = False


@dataclass
class Fetched:
    """The blocks of every selector of a query, by the identity of its node."""

    needs: dict[int, Need] = field(default_factory=dict)
    blocks: dict[Need, list[Block]] = field(default_factory=dict)

    def of(self, node: Selector | Call) -> list[Block]:
        return self.blocks[self.needs[id(node)]]


@dataclass(frozen=True)
class Planner:
    """Finds the time bounds of every selector."""

    start_ms: int
    end_ms: int
    lookback_ms: int
    default_step_ms: int

    def fixed(self, at: At | None) -> int | None:
        """The time that `@` names."""
        if at is None:
            return None
        return {"start": self.start_ms, "end": self.end_ms}.get(at.moment, at.at_ms)

    def plan(self, node: Node, span: Span, needs: dict[int, Need]) -> None:
        if isinstance(node, Selector):
            needs[id(node)] = self._need(node, span)
            return
        if isinstance(node, Call) and node.function == "info":
            needs[id(node)] = self._info_need(node, span)
            self.plan(node.args[0], span, needs)
            return
        below = self._below(node, span)
        for child in children(node):
            self.plan(child, below, needs)

    def _need(self, node: Selector, span: Span) -> Need:
        fixed = self.fixed(node.at)
        start, end = (span.start_ms, span.end_ms) if fixed is None else (fixed, fixed)
        reach = self.lookback_ms if node.range_ms is None else node.range_ms
        hints = Hints(span.step_ms, node.range_ms or 0, span.func, span.grouping, span.by)
        return Need(node.matchers, start - node.offset_ms - reach, end - node.offset_ms, hints)

    def _info_need(self, node: Call, span: Span) -> Need:
        names, data = info_matchers(node)
        return Need((*names, *data), span.start_ms - self.lookback_ms, span.end_ms, Hints(span.step_ms, 0, "info"))

    def _below(self, node: Node, span: Span) -> Span:
        if isinstance(node, Subquery):
            start, end, step = self.subquery_bounds(node, span.start_ms, span.end_ms)
            return Span(start, end, step)
        if isinstance(node, Aggregate):
            return Span(span.start_ms, span.end_ms, span.step_ms, "", node.grouping, node.by)
        if isinstance(node, Call):
            return Span(span.start_ms, span.end_ms, span.step_ms, node.function, span.grouping, span.by)
        if isinstance(node, Binary):
            return Span(span.start_ms, span.end_ms, span.step_ms)
        if isinstance(node, Paren | Negate):
            return span
        return span

    def subquery_bounds(self, node: Subquery, start_ms: int, end_ms: int) -> tuple[int, int, int]:
        """First and last time and step of the inner evaluation: multiples of the step, open on the left."""
        fixed = self.fixed(node.at)
        if fixed is not None:
            start_ms = end_ms = fixed
        step = node.step_ms or self.default_step_ms
        after = start_ms - node.offset_ms - node.range_ms
        return (after // step + 1) * step, (end_ms - node.offset_ms) // step * step, step


def fetch(needs: dict[int, Need], source: Source, budget: Budget) -> Fetched:
    """Ask the source once per distinct need, before anything is evaluated."""
    fetched = Fetched(needs)
    with snapshot_of(source) if len(needs) > 1 else nullcontext(source) as state:
        for need in needs.values():
            if need not in fetched.blocks:
                budget.check_time()
                answer = state.select(need.matchers, need.start_ms, need.end_ms, need.hints)
                blocks = [_without_empty_labels(block) for block in answer]
                budget.load(sum(len(block.labels) for block in blocks), sum(block.values.size for block in blocks))
                fetched.blocks[need] = blocks
    return fetched


def _without_empty_labels(block: Block) -> Block:
    """An empty label is none."""
    if derive(block.labels, "whole", lambda: not any("" in labels.values() for labels in block.labels)):
        return block
    labels = [{name: value for name, value in row.items() if value} for row in block.labels]
    return Block(labels, block.times, block.values, block.present, block.part)


def latest(blocks: list[Block], times: Ints, lookback_ms: int, sample_times: bool = False) -> Vector:
    """The latest sample of each series within the look-back of each time, or the sample's time in seconds."""
    filled = (block for block in blocks if block.labels and block.times.size)
    parts = [_latest_of_block(block, times, lookback_ms, sample_times) for block in filled]
    return join(parts, times.size).compact()


def _latest_of_block(block: Block, times: Ints, lookback_ms: int, sample_times: bool) -> Vector:
    index = np.searchsorted(block.times, times, side="right")[None, :] - 1
    rows = len(block.labels)
    if block.present is not None and not block.present.all():
        columns = np.where(block.present, np.arange(block.times.size), -1)
        before = np.maximum.accumulate(columns, axis=1)
        index = np.where(index < 0, -1, before[:, np.maximum(index[0], 0)])
    known = np.maximum(index, 0)
    stamps = block.times[known]
    present: Bools = np.broadcast_to((index >= 0) & (stamps > times - lookback_ms), (rows, times.size))
    values: Floats = take(block.values, known)
    present = present & ~is_stale(values)
    if sample_times:
        values = np.broadcast_to(stamps / 1000, values.shape)
    return Vector(block.labels, values, present)
