"""Which samples a query needs, fetched once per distinct selection; and the value of an instant selector at each
step."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from promql.functions.info import info_matchers
from promql.labels import Matcher, derive
from promql.limits import Budget
from promql.source import Block, Hints, Source, SumNeed, is_stale, snapshot_of, sums_of
from promql.sums import take
from promql.syntax import Aggregate, At, Binary, Call, Node, Selector, Subquery, children, unwrap
from promql.values import Bools, Floats, Ints, Vector, empty_vector, join
from promql.windows import window_block


@dataclass(frozen=True)
class Need:
    """One call of Source.select."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    hints: Hints


@dataclass(frozen=True)
class Span:
    """The evaluation times of an expression, and the function and aggregation directly around it."""

    start_ms: int
    end_ms: int
    step_ms: int
    func: str = ""
    grouping: tuple[str, ...] | None = None
    by: bool = False


@dataclass
class Needs:
    """What a query needs, by the identity of its nodes: the samples of selectors, and the sums that the source may
    have. With each sum stands the selector that it makes needless."""

    samples: dict[int, Need] = field(default_factory=dict)
    sums: dict[int, tuple[SumNeed, int]] = field(default_factory=dict)


@dataclass
class Fetched:
    """The blocks of every selector of a query, and of the sums that the source made, by the identity of its node."""

    needs: dict[int, Need] = field(default_factory=dict)
    blocks: dict[Need, list[Block]] = field(default_factory=dict)
    sums: dict[int, Block] = field(default_factory=dict)

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
        """The time of an `@`, None without one."""
        if at is None:
            return None
        return {"start": self.start_ms, "end": self.end_ms}.get(at.moment, at.at_ms)

    def plan(self, node: Node, span: Span, needs: Needs) -> None:
        if isinstance(node, Selector):
            needs.samples[id(node)] = self._need(node, span)
            return
        if isinstance(node, Call) and node.function == "info":
            needs.samples[id(node)] = self._info_need(node, span)
            self.plan(node.args[0], span, needs)
            return
        if isinstance(node, Aggregate) and (summed := summed_selector(node)) is not None:
            func, selector = summed
            start, end = span.start_ms - selector.offset_ms, span.end_ms - selector.offset_ms
            need = SumNeed(
                selector.matchers, func, selector.range_ms or 0, node.grouping, node.by, start, end, span.step_ms
            )
            needs.sums[id(node)] = need, id(selector)
        below = self._below(node, span)
        for child in children(node):
            self.plan(child, below, needs)

    def _need(self, node: Selector, span: Span) -> Need:
        fixed = self.fixed(node.at)
        start, end = (span.start_ms, span.end_ms) if fixed is None else (fixed, fixed)
        reach = self.lookback_ms if node.range_ms is None else node.range_ms
        func = span.func
        if node.extension:
            # A source that reads less for `rate` knows nothing of samples around the range.
            func = ""
            reach += self.lookback_ms if node.range_ms is not None else 0
            end += self.lookback_ms if node.extension == "smoothed" else 0
        hints = Hints(span.step_ms, node.range_ms or 0, func, span.grouping, span.by)
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
        return span

    def subquery_bounds(self, node: Subquery, start_ms: int, end_ms: int) -> tuple[int, int, int]:
        """First and last time and step of the inner evaluation: multiples of the step, open on the left."""
        fixed = self.fixed(node.at)
        if fixed is not None:
            start_ms = end_ms = fixed
        step = node.step_ms or self.default_step_ms
        after = start_ms - node.offset_ms - node.range_ms
        return (after // step + 1) * step, (end_ms - node.offset_ms) // step * step, step


def summed_selector(node: Aggregate) -> tuple[str, Selector] | None:
    """The function and the selector of a sum of rates or increases, whose linearity lets a source sum first."""
    inner = unwrap(node.expr)
    if node.op != "sum" or not isinstance(inner, Call) or inner.function not in ("rate", "increase"):
        return None
    selector = unwrap(inner.args[0])
    if not isinstance(selector, Selector) or selector.extension or selector.at is not None:
        return None
    return inner.function, selector


def fetch(needs: Needs, source: Source, budget: Budget) -> Fetched:
    """Ask the source once per distinct need, before anything is evaluated."""
    fetched = Fetched(needs.samples)
    with snapshot_of(source) if len(needs.samples) > 1 else nullcontext(source) as state:
        needless = set()
        answers: dict[SumNeed, Block | None] = {}
        for node, (wanted, selector) in needs.sums.items():
            if wanted not in answers:
                budget.check_time()
                answers[wanted] = sums_of(state, wanted)
                if (made := answers[wanted]) is not None:
                    budget.load(len(made.labels), made.values.size)
            if (block := answers[wanted]) is not None:
                fetched.sums[node] = block
                needless.add(selector)
        for node, need in needs.samples.items():
            if node not in needless and need not in fetched.blocks:
                budget.check_time()
                answer = state.select(need.matchers, need.start_ms, need.end_ms, need.hints)
                blocks = [_without_empty_labels(block) for block in answer]
                budget.load(sum(len(block.labels) for block in blocks), sum(block.values.size for block in blocks))
                fetched.blocks[need] = blocks
    return fetched


def _without_empty_labels(block: Block) -> Block:
    """An empty label is the same as no label."""
    if derive(block.labels, "whole", lambda: not any("" in labels.values() for labels in block.labels)):
        return block
    labels = [{name: value for name, value in row.items() if value} for row in block.labels]
    return Block(labels, block.times, block.values, block.present, block.part)


def latest(blocks: list[Block], times: Ints, lookback_ms: int, sample_times: bool = False) -> Vector:
    """The latest sample of each series within the look-back of each time, or the sample's time in seconds."""
    filled = (block for block in blocks if block.labels and block.times.size)
    parts = [_latest_of_block(block, times, lookback_ms, sample_times) for block in filled]
    return join(parts, times.size).compact()


def smoothed(blocks: list[Block], times: Ints, lookback_ms: int) -> Vector:
    """Each series at each time, interpolated between the samples before and after it within the look-back, else the
    nearest of them."""
    filled = (block for block in blocks if block.labels and block.times.size)
    return join([_smoothed_of_block(block, times, lookback_ms) for block in filled], times.size).compact()


def _smoothed_of_block(block: Block, times: Ints, lookback_ms: int) -> Vector:
    windows = window_block(block, times, times + lookback_ms, 2 * lookback_ms)
    until_now = window_block(block, times, times, lookback_ms)
    if windows is None or until_now is None:
        return empty_vector(times.size)
    last = windows.stop - 1
    before = np.clip(until_now.stop - 1, windows.first, last)
    after = np.where(windows.time_at(before) < times, np.minimum(before + 1, last), before)
    one, other = windows.value_at(before), windows.value_at(after)
    from_time, to_time = windows.time_at(before), windows.time_at(after)
    share = np.where(to_time > from_time, (times - from_time) / np.maximum(to_time - from_time, 1), 0.0)
    inside = (from_time <= times) & (times <= to_time)
    values = np.where(inside & (share > 0), one + (other - one) * share, np.where(inside, one, other))
    shape = (len(windows.labels), times.size)
    return Vector(windows.labels, np.broadcast_to(values, shape), np.broadcast_to(windows.counts >= 1, shape))


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
