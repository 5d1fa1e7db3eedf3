"""7 query (PromQL): evaluate a query over the series of a source, all steps and all series at once."""

import numpy as np

from promql import syntax
from promql.aggregate import aggregate
from promql.binary import binary
from promql.convert import MAX_MILLISECONDS
from promql.engine import engine_of
from promql.errors import EvalError, UnsupportedError
from promql.functions import ELEMENTWISE, RANGE_FUNCTIONS, SPECIAL_FUNCTIONS, RangeFunction
from promql.labels import label_key, label_order, metric_names, without_name, without_names
from promql.limits import Budget, Limits
from promql.parse import Query, parse
from promql.result import Notes, Result, one_row
from promql.select import Fetched, Need, Planner, Span, fetch, latest
from promql.source import Block, Source
from promql.syntax import Node
from promql.values import Floats, Ints, Scalar, Text, Value, Vector, as_scalar, as_vector, join
from promql.windows import Windows, window_block

DEFAULT_LOOKBACK_MS = 300_000
# Prometheus's global evaluation interval, which a subquery without a step takes.
DEFAULT_SUBQUERY_STEP_MS = 60_000
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def instant(
    query: Query | str,
    source: Source,
    at_ms: int,
    *,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    limits: Limits | None = None,
) -> Result:
    """Evaluate a query at one time (ms). Raises PromQLError."""
    parsed = parse(query) if isinstance(query, str) else query
    if (engine := engine_of(source)) is not None:
        return engine.instant(parsed, at_ms, lookback_ms, limits or Limits())
    evaluation = _Evaluation(parsed, source, at_ms, at_ms, 0, lookback_ms, limits or Limits())
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
        self, query: Query, source: Source, start_ms: int, end_ms: int, step_ms: int, lookback_ms: int, limits: Limits
    ) -> None:
        self.query = query
        self.notes = Notes()
        self.start_ms, self.end_ms, self.step_ms = start_ms, end_ms, step_ms
        self._lookback_ms = lookback_ms
        self._budget = Budget(limits)
        if max(abs(start_ms), abs(end_ms), step_ms, abs(lookback_ms)) > MAX_MILLISECONDS:
            raise EvalError("a time of the evaluation is out of range")
        self._budget.check_depth(query.depth)
        self._budget.check_steps((end_ms - start_ms) // step_ms + 1 if step_ms else 1)
        self.times = np.arange(start_ms, end_ms + 1, step_ms or 1, dtype=np.int64)
        self._planner = Planner(start_ms, end_ms, lookback_ms, DEFAULT_SUBQUERY_STEP_MS)
        self._fetched = self._fetch(source)

    def _fetch(self, source: Source) -> Fetched:
        needs: dict[int, Need] = {}
        self._planner.plan(self.query.expr, Span(self.start_ms, self.end_ms, self.step_ms), needs)
        return fetch(needs, source, self._budget)

    def range(self) -> Result:
        value = self.value(self.query.expr, self.times)
        if isinstance(value, Scalar):
            return self._result("matrix", Vector([{}], *one_row(value.values)))
        vector = as_vector(value).compact()
        order = sorted(range(len(vector.labels)), key=lambda row: label_order(vector.labels[row]))
        return self._result("matrix", vector.rows(np.array(order, dtype=np.int64)))

    def instant(self) -> Result:
        if self.query.type == "matrix":
            return self._samples()
        value = self.value(self.query.expr, self.times)
        if isinstance(value, Text):
            result = self._result("string", Vector([], np.zeros((0, 1)), np.zeros((0, 1), dtype=bool)))
            result.string = value.value
            return result
        if isinstance(value, Scalar):
            return self._result("scalar", Vector([{}], *one_row(value.values)))
        return self._result("vector", as_vector(value).compact())

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
        parts = self.windows(syntax.unwrap(self.query.expr), self.times)
        rows = [
            (labels, part.times[row if part.times.shape[0] > 1 else 0][first:stop], part.values[row][first:stop])
            for part in parts
            for row, (labels, first, stop) in enumerate(_spans(part))
        ]
        rows = sorted((row for row in rows if row[1].size), key=lambda row: label_order(row[0]))
        times = np.unique(np.concatenate([row[1] for row in rows])) if rows else np.zeros(0, dtype=np.int64)
        values = np.zeros((len(rows), times.size))
        present = np.zeros(values.shape, dtype=bool)
        for index, (_, own_times, own_values) in enumerate(rows):
            columns = np.searchsorted(times, own_times)
            values[index, columns] = own_values
            present[index, columns] = True
        result = self._result("matrix", Vector([row[0] for row in rows], values, present))
        result.times = times
        return result

    def value(self, node: Node, times: Ints) -> Value:
        """The value of any part of the query that is no range vector."""
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
            case syntax.Negate():
                return self._negate(node, times)
            case syntax.Selector():
                return latest(self._fetched.of(node), self._moments(node, times), self._lookback_ms)
            case syntax.Call():
                return self._call(node, times)
            case syntax.Aggregate():
                return aggregate(self, node, times)
            case syntax.Binary():
                return binary(self, node, times)
            case syntax.Subquery():
                raise EvalError("a range vector cannot stand here")

    def vector(self, node: Node, times: Ints) -> Vector:
        return as_vector(self.value(node, times))

    def scalar(self, node: Node, times: Ints) -> Floats:
        return as_scalar(self.value(node, times)).values

    def text(self, node: Node) -> str:
        inner = syntax.unwrap(node)
        if not isinstance(inner, syntax.String):
            raise EvalError("a string is expected here")
        return inner.value

    def _moments(self, node: syntax.Selector | syntax.Subquery, times: Ints) -> Ints:
        """The times at which a selector looks: its `@`, less its offset."""
        fixed = self._planner.fixed(node.at)
        moments = times if fixed is None else np.full_like(times, fixed)
        return moments - node.offset_ms

    def _negate(self, node: syntax.Negate, times: Ints) -> Value:
        value = self.value(node.expr, times)
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
        raise UnsupportedError(f"{node.function}() is not supported", node.position)

    def _range_call(self, node: syntax.Call, times: Ints) -> Vector:
        function = RANGE_FUNCTIONS[node.function]
        scalars = [self.scalar(arg, times) for place, arg in enumerate(node.args) if place != function.range_at]
        parts = []
        argument = syntax.unwrap(node.args[function.range_at])
        blocks, range_ms, ends = self._range(argument, times)
        for block in blocks:
            self._budget.check_time()
            found = None if scalars else _shared(function, block, times, ends, range_ms)
            windows = window_block(block, times, ends, range_ms) if found is None else None
            if found is not None:
                parts.append(found)
            elif windows is not None:
                self._budget.hold(len(windows.labels), times.size)
                parts.append(Vector(windows.labels, *function.compute(windows, scalars)))
        result = join(parts, times.size).compact()
        if function.wants_quantile and result.labels:
            self.notes.check_quantile(scalars[0])
        if function.wants_counter:
            self._note_gauges(result)
        return result if function.keeps_name else _without_names(result)

    def _note_gauges(self, result: Vector) -> None:
        for name in metric_names(result.labels):
            if name and not name.endswith(_COUNTER_ENDINGS):
                endings = "/".join(_COUNTER_ENDINGS)
                self.notes.inform(f'metric might not be a counter, name does not end in {endings}: "{name}"')

    def windows(self, node: Node, times: Ints) -> list[Windows]:
        """The windows of a range selector or a subquery."""
        argument = syntax.unwrap(node)
        blocks, range_ms, ends = self._range(argument, times)
        found = (window_block(block, times, ends, range_ms) for block in blocks)
        return [windows for windows in found if windows is not None]

    def _range(self, node: Node, times: Ints) -> tuple[list[Block], int, Ints]:
        """The blocks of a range selector or a subquery, its length, and where its windows end."""
        if isinstance(node, syntax.Selector) and node.range_ms is not None:
            return self._fetched.of(node), node.range_ms, self._moments(node, times)
        if isinstance(node, syntax.Subquery):
            return [self._subquery(node, times)], node.range_ms, self._moments(node, times)
        raise EvalError("a range vector is expected here")

    def _subquery(self, node: syntax.Subquery, times: Ints) -> Block:
        first, last, step = self._planner.subquery_bounds(node, int(times[0]), int(times[-1]))
        count = max(0, (last - first) // step + 1)
        self._budget.hold(1, count)
        inner_times = first + step * np.arange(count, dtype=np.int64)
        if not count:
            return Block([], inner_times, np.zeros((0, 0)))
        inner = self.vector(node.expr, inner_times)
        return Block(inner.labels, inner_times, inner.values, inner.present)

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


def _shared(function: RangeFunction, block: Block, times: Ints, ends: Ints, range_ms: int) -> Vector | None:
    """A range function over a part of a block, from its result over the whole; None where that is more than what was loaded."""
    part = block.part
    if part is None or len(part.whole.labels) * times.size > part.whole.values.size:
        return None
    key = (function, range_ms, times.tobytes(), ends.tobytes())
    if key not in part.results:
        windows = window_block(part.whole, times, ends, range_ms)
        every = windows is not None and len(windows.labels) == len(part.whole.labels)
        part.results[key] = function.compute(windows, []) if windows is not None and every else None
    found = part.results[key]
    return None if found is None else Vector(block.labels, found[0][part.rows], found[1][part.rows])


def _without_names(vector: Vector) -> Vector:
    """Drop metric names after a range function; series that only their names tell apart are an error."""
    if len(metric_names(vector.labels)) > 1 and len({label_key(without_name(row)) for row in vector.labels}) < len(
        vector.labels
    ):
        raise EvalError("vector cannot contain metrics with the same labelset")
    return Vector(without_names(vector.labels), vector.values, vector.present)


_TIME_BOUND_CALLS = frozenset({"time", "info", "timestamp", "predict_linear"})


def _is_invariant(node: Node) -> bool:
    """Whether a part has the same value at every step: each of its selectors is pinned by `@`."""
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
        return Vector(value.labels, np.repeat(value.values, steps, axis=1), np.repeat(value.present, steps, axis=1))
    return value
