"""Evaluates a query over the series of a source, all steps and all series at once."""

import numpy as np

from promql import syntax
from promql.durations import MAX_MILLISECONDS, resolve
from promql.engine import engine_of
from promql.errors import EvalError, UnsupportedError
from promql.functions import ELEMENTWISE, RANGE_FUNCTIONS, SPECIAL_FUNCTIONS, RangeFunction
from promql.functions.counters import possible_gauges
from promql.labels import label_order
from promql.limits import Budget, Limits
from promql.operators.aggregate import aggregate
from promql.operators.binary import binary
from promql.parse import Query, parse
from promql.ranges import RangeVector
from promql.result import Notes, Result, one_row
from promql.select import Fetched, Needs, Planner, Span, fetch, latest, smoothed, summed_selector
from promql.source import Block, Source
from promql.syntax import Node
from promql.values import (
    Bools,
    Floats,
    Ints,
    Scalar,
    Text,
    Value,
    Vector,
    as_scalar,
    as_vector,
    drop_names,
    empty_vector,
    join,
)
from promql.windows import Windows

DEFAULT_LOOKBACK_MS = 300_000
# Prometheus's global evaluation interval, which a subquery without a step takes.
DEFAULT_SUBQUERY_STEP_MS = 60_000


def instant(
    query: Query | str,
    source: Source,
    at_ms: int,
    *,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    limits: Limits | None = None,
    subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS,
) -> Result:
    """Evaluate a query at one time (ms); subqueries without a step take `subquery_step_ms`. Raises PromQLError."""
    parsed = parse(query) if isinstance(query, str) else query
    if (engine := engine_of(source)) is not None:
        return engine.instant(parsed, at_ms, lookback_ms, limits or Limits())
    evaluation = _Evaluation(parsed, source, at_ms, at_ms, 0, lookback_ms, limits or Limits(), subquery_step_ms)
    # Infinities and NaN are results like any other; numpy is not to warn of them.
    with np.errstate(all="ignore"):
        return evaluation.instant()


def range_query(
    query: Query | str,
    source: Source,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    *,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    limits: Limits | None = None,
) -> Result:
    """Evaluate a query at start, start + step, … up to end (ms). Raises PromQLError."""
    parsed = parse(query) if isinstance(query, str) else query
    if step_ms <= 0:
        raise EvalError("the step of a range query must be more than 0")
    if end_ms < start_ms:
        raise EvalError("the end of a range query must not lie before its start")
    if parsed.type not in {"vector", "scalar"}:
        kind = "range vector" if parsed.type == "matrix" else parsed.type
        raise EvalError(f'invalid expression type "{kind}" for range query, must be scalar or instant vector')
    if (engine := engine_of(source)) is not None:
        return engine.range(parsed, start_ms, end_ms, step_ms, lookback_ms, limits or Limits())
    evaluation = _Evaluation(parsed, source, start_ms, end_ms, step_ms, lookback_ms, limits or Limits())
    with np.errstate(all="ignore"):
        return evaluation.range()


class _Evaluation:
    """One evaluation of one query; the Evaluation of promql.context."""

    def __init__(
        self,
        query: Query,
        source: Source,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        lookback_ms: int,
        limits: Limits,
        subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS,
    ) -> None:
        self.query = query
        self.notes = Notes(query.text)
        self.start_ms, self.end_ms, self.step_ms = start_ms, end_ms, step_ms
        self._lookback_ms = lookback_ms
        self._budget = Budget(limits)
        if max(abs(start_ms), abs(end_ms), step_ms, abs(lookback_ms)) > MAX_MILLISECONDS:
            raise EvalError("a time of the evaluation is out of range")
        self._budget.check_depth(query.depth)
        self._budget.check_steps((end_ms - start_ms) // step_ms + 1 if step_ms else 1)
        self.times = np.arange(start_ms, end_ms + 1, step_ms or 1, dtype=np.int64)
        self._expr = query.expr
        if query.has_open_durations:
            self._expr = resolve(query.expr, step_ms, end_ms - start_ms)
        self._planner = Planner(start_ms, end_ms, lookback_ms, subquery_step_ms)
        self._fetched = self._fetch(source)

    def _fetch(self, source: Source) -> Fetched:
        needs = Needs()
        self._planner.plan(self._expr, Span(self.start_ms, self.end_ms, self.step_ms), needs)
        return fetch(needs, source, self._budget)

    def range(self) -> Result:
        value = self.value(self._expr, self.times)
        if isinstance(value, Scalar):
            return self._result("matrix", Vector([{}], *one_row(value.values)))
        vector = drop_names(as_vector(value).compact())
        order = sorted(range(len(vector.labels)), key=lambda row: label_order(vector.labels[row]))
        return self._result("matrix", vector.rows(np.array(order, dtype=np.int64)))

    def instant(self) -> Result:
        if self.query.type == "matrix":
            return self._samples()
        value = self.value(self._expr, self.times)
        if isinstance(value, Text):
            result = self._result("string", Vector([], np.zeros((0, 1)), np.zeros((0, 1), dtype=bool)))
            result.string = value.value
            return result
        if isinstance(value, Scalar):
            return self._result("scalar", Vector([{}], *one_row(value.values)))
        return self._result("vector", drop_names(as_vector(value).compact()))

    def _result(self, kind: str, vector: Vector) -> Result:
        return Result(
            type=kind,
            labels=[row.copy() for row in vector.labels],
            times=self.times,
            values=vector.values,
            present=vector.present,
            warnings=list(self.notes.warnings),
            infos=list(self.notes.infos),
        )

    def _samples(self) -> Result:
        """The raw samples of a range selector, on the union of the times of all series."""
        given = self.range_vector(self._expr, self.times)
        if given.extension:
            raise EvalError(f"{given.extension} ranges can only be given to functions")
        found = [windows for block in given.blocks if (windows := given.windows(block, self.times)) is not None]
        rows = [
            (
                labels,
                part.times[row if part.times.shape[0] > 1 else 0][first:stop],
                part.values[row][first:stop],
                bool(np.broadcast_to(given.drops_name, len(part.labels))[row]),
            )
            for part in found
            for row, (labels, first, stop) in enumerate(_spans(part))
        ]
        rows = sorted((row for row in rows if row[1].size), key=lambda row: label_order(row[0]))
        times = np.unique(np.concatenate([row[1] for row in rows])) if rows else np.zeros(0, dtype=np.int64)
        values = np.zeros((len(rows), times.size))
        present = np.zeros(values.shape, dtype=bool)
        for index, (_, own_times, own_values, _) in enumerate(rows):
            columns = np.searchsorted(times, own_times)
            values[index, columns] = own_values
            present[index, columns] = True
        drops_name = np.array([row[3] for row in rows], dtype=bool)
        result = self._result("matrix", drop_names(Vector([row[0] for row in rows], values, present, drops_name)))
        result.times = times
        return result

    def value(self, node: Node, times: Ints) -> Value:
        """The value of an expression that is not a range vector."""
        self._budget.check_time()
        if times.size > 1 and _is_invariant(node):
            return _repeat(self._value(node, times[:1]), times.size)
        value = self._value(node, times)
        if isinstance(value, Vector):
            self._budget.hold(len(value.labels), times.size)
        return value

    def _value(self, node: Node, times: Ints) -> Value:
        match node:
            case syntax.Number():
                return Scalar(np.full(times.size, node.value))
            case syntax.String():
                return Text(node.value)
            case syntax.Paren():
                return self.value(node.expr, times)
            case syntax.Unary():
                return self._unary(node, times)
            case syntax.Selector():
                select = smoothed if node.extension else latest
                return select(self._fetched.of(node), self._moments(node, times), self._lookback_ms)
            case syntax.Call():
                return self._call(node, times)
            case syntax.Aggregate():
                summed = self._fetched.sums.get(id(node))
                return aggregate(self, node, times) if summed is None else self._summed(node, summed, times)
            case syntax.Binary():
                return binary(self, node, times)
            case syntax.Subquery():
                raise EvalError("a range vector cannot stand here")

    def _summed(self, node: syntax.Aggregate, block: Block, times: Ints) -> Vector:
        """The sums that the source made; of a subquery's times, those that are asked for."""
        found = summed_selector(node)
        offset = found[1].offset_ms if found else 0
        columns = np.searchsorted(block.times, times - offset)
        if np.array_equal(columns, np.arange(block.times.size)):
            return Vector(block.labels, block.values, _all_present(block)).compact()
        return Vector(block.labels, block.values[:, columns], _all_present(block)[:, columns]).compact()

    def vector(self, node: Node, times: Ints) -> Vector:
        return as_vector(self.value(node, times))

    def scalar(self, node: Node, times: Ints) -> Floats:
        return as_scalar(self.value(node, times)).values

    def text(self, node: Node) -> str:
        inner = syntax.unwrap(node)
        if not isinstance(inner, syntax.String):
            raise EvalError("a string is expected here")
        return inner.value

    def label_name(self, node: Node, function: str, what: str) -> str:
        name = self.text(node)
        inner = syntax.unwrap(node)
        if not name or (isinstance(inner, syntax.String) and not inner.is_utf8):
            raise EvalError(f"invalid {what} in {function}(): {name}")
        return name

    def warn_of_sorting(self, call: syntax.Call) -> None:
        if self.step_ms:
            self.notes.at(call.args[0]).warn(
                "sort is ineffective for range queries since results are always ordered by labels"
            )

    def _moments(self, node: syntax.Selector | syntax.Subquery, times: Ints) -> Ints:
        """The times at which a selector reads: the evaluation times or its `@`, minus its offset."""
        fixed = self._planner.fixed(node.at)
        moments = times if fixed is None else np.full_like(times, fixed)
        return moments - node.offset_ms

    def _unary(self, node: syntax.Unary, times: Ints) -> Value:
        value = self.value(node.expr, times)
        if node.op == "+":
            return value
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        vector = as_vector(value)
        return vector.nameless(-vector.values)

    def _call(self, node: syntax.Call, times: Ints) -> Value:
        if node.function in RANGE_FUNCTIONS:
            return self._range_call(node, times)
        if node.function in ELEMENTWISE:
            given = self.vector(node.args[0], times)
            return given.nameless(ELEMENTWISE[node.function](given.values))
        if node.function in SPECIAL_FUNCTIONS:
            return SPECIAL_FUNCTIONS[node.function](self, node, times)
        raise UnsupportedError(f"{node.function}() is not supported", node.start)

    def _range_call(self, node: syntax.Call, times: Ints) -> Vector:
        function = RANGE_FUNCTIONS[node.function]
        scalars = [self.scalar(arg, times) for place, arg in enumerate(node.args) if place != function.range_at]
        given = self.range_vector(node.args[function.range_at], times)
        parts = []
        for block in given.blocks:
            self._budget.check_time()
            if (part := self._over_block(function, given, block, times, scalars)) is not None:
                parts.append(part)
        result = join(parts, times.size).compact()
        if function.wants_quantile and result.labels:
            self.notes.at(node.args[0]).check_quantile(scalars[0])
        if function.wants_counter:
            for text in possible_gauges(result.labels):
                self.notes.at(node.args[function.range_at]).inform(text)
        return result

    def _over_block(
        self, function: RangeFunction, given: RangeVector, block: Block, times: Ints, scalars: list[Floats]
    ) -> Vector | None:
        """A function over the windows of one block; None where no series has a sample that counts."""
        drops_name = given.drops_name if function.keeps_name else True
        if given.extension:
            extended = given.extended(block, times)
            if extended is None or function.extended is None:
                return None
            return Vector(extended.outer.labels, *function.extended(extended), drops_name)
        if not scalars and (found := _shared(function, block, times, given)) is not None:
            return Vector(block.labels, *found, drops_name)
        windows = given.windows(block, times)
        if windows is None:
            return None
        self._budget.hold(len(windows.labels), times.size)
        return Vector(windows.labels, *function.compute(windows, scalars), drops_name)

    def range_vector(self, node: Node, times: Ints) -> RangeVector:
        """The range vector of a range selector or a subquery."""
        argument = syntax.unwrap(node)
        if isinstance(argument, syntax.Selector) and argument.range_ms is not None:
            blocks, ends = self._fetched.of(argument), self._moments(argument, times)
            return RangeVector(
                blocks, argument.range_ms, ends, extension=argument.extension, lookback_ms=self._lookback_ms
            )
        if isinstance(argument, syntax.Subquery):
            inner, inner_times = self._subquery(argument, times)
            block = Block(inner.labels, inner_times, inner.values, inner.present)
            return RangeVector([block], argument.range_ms, self._moments(argument, times), inner.drops_name)
        raise EvalError("a range vector is expected here")

    def _subquery(self, node: syntax.Subquery, times: Ints) -> tuple[Vector, Ints]:
        """The inner vector without rows that have no sample, and the times at which it was evaluated."""
        first, last, step = self._planner.subquery_bounds(node, int(times[0]), int(times[-1]))
        count = max(0, (last - first) // step + 1)
        self._budget.hold(1, count)
        inner_times = first + step * np.arange(count, dtype=np.int64)
        return (self.vector(node.expr, inner_times).compact() if count else empty_vector(0)), inner_times

    def sample_times(self, node: syntax.Selector, times: Ints) -> Vector:
        moments = self._moments(node, times)
        return latest(self._fetched.of(node), moments, self._lookback_ms, sample_times=True)

    def hold(self, rows: int, steps: int) -> None:
        self._budget.check_time()
        self._budget.hold(rows, steps)

    def info_times(self, node: syntax.Call, times: Ints) -> Vector:
        return latest(self._fetched.of(node), times, self._lookback_ms, sample_times=True)


def _spans(part: Windows) -> list[tuple[dict[str, str], int, int]]:
    shape = (len(part.labels), 1)
    first, stop = np.broadcast_to(part.first, shape)[:, 0], np.broadcast_to(part.stop, shape)[:, 0]
    return list(zip(part.labels, first.tolist(), stop.tolist(), strict=True))


def _shared(function: RangeFunction, block: Block, times: Ints, given: RangeVector) -> tuple[Floats, Bools] | None:
    """The function's result for some rows of a block, from that for the whole block; None where computing the whole
    costs too much."""
    part = block.part
    if part is None or len(part.whole.labels) * times.size > part.whole.values.size:
        return None
    key = (function, given.range_ms, times.tobytes(), given.ends.tobytes())
    if key not in part.results:
        windows = given.windows(part.whole, times)
        every = windows is not None and len(windows.labels) == len(part.whole.labels)
        part.results[key] = function.compute(windows, []) if windows is not None and every else None
    found = part.results[key]
    return None if found is None else (found[0][part.rows], found[1][part.rows])


def _all_present(block: Block) -> Bools:
    return np.ones(block.values.shape, dtype=bool) if block.present is None else block.present


_TIME_BOUND_CALLS = frozenset({"time", "info", "timestamp", "predict_linear"})


def _is_invariant(node: Node) -> bool:
    """Whether an expression has the same value at every step, because each of its selectors has an `@`."""
    selectors = [part for part in syntax.walk(node) if isinstance(part, syntax.Selector)]
    return bool(selectors) and _is_pinned(node)


def _is_pinned(node: Node) -> bool:
    if isinstance(node, syntax.Selector):
        return node.at is not None
    if isinstance(node, syntax.Subquery) and node.at is not None:
        return True
    if isinstance(node, syntax.Subquery):
        return False
    if isinstance(node, syntax.Call) and (node.function in _TIME_BOUND_CALLS or not node.args):
        return False
    return all(_is_pinned(child) for child in syntax.children(node))


def _repeat(value: Value, steps: int) -> Value:
    if isinstance(value, Scalar):
        return Scalar(np.repeat(value.values, steps))
    if isinstance(value, Vector):
        values, present = np.repeat(value.values, steps, axis=1), np.repeat(value.present, steps, axis=1)
        return Vector(value.labels, values, present, value.drops_name)
    return value
