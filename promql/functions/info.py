"""info(): add the labels of info metrics (target_info) to the series they describe."""

from dataclasses import dataclass

import numpy as np

from promql.context import Evaluation
from promql.errors import EvalError
from promql.functions.special import Special
from promql.labels import METRIC_NAME, Labels, Matcher, matches_all
from promql.syntax import Call, Selector
from promql.values import Floats, Ints, Vector, empty_vector, merge_rows, pick_rows

IDENTIFYING = ("instance", "job")


def info_matchers(call: Call) -> tuple[tuple[Matcher, ...], tuple[Matcher, ...]]:
    """What the second argument asks for: matchers of the info metrics' names, and of their labels."""
    given = call.args[1].matchers if len(call.args) > 1 and isinstance(call.args[1], Selector) else ()
    names = tuple(matcher for matcher in given if matcher.name == METRIC_NAME)
    if not names:
        names = (Matcher(METRIC_NAME, "=", "target_info"),)
    elif all(matcher.op in {"!=", "!~"} for matcher in names):
        names = (*names, Matcher(METRIC_NAME, "=~", ".+_info"))
    return names, tuple(matcher for matcher in given if matcher.name != METRIC_NAME)


@dataclass
class _InfoSeries:
    """The info series by metric and identifying labels, with the times of their samples."""

    vector: Vector
    rows: dict[str, dict[tuple[str, ...], list[int]]]

    def chosen(self, labels: Labels) -> Ints:
        """Per info metric and step, the row that describes a series, the newest if several do; -1 for none."""
        found = [groups.get(identity(labels), []) for groups in self.rows.values()]
        return np.array([self._newest(rows) for rows in found if rows], dtype=np.int64)

    def _newest(self, rows: list[int]) -> Ints:
        stamps: Floats = np.where(self.vector.present[rows], self.vector.values[rows], -np.inf)
        newest = stamps.max(axis=0)
        there = np.isfinite(newest)
        if ((stamps == newest).sum(axis=0)[there] > 1).any():
            raise EvalError(f"found duplicate series for info metric {self.vector.labels[rows[0]][METRIC_NAME]}")
        return np.where(there, np.array(rows)[stamps.argmax(axis=0)], -1)


def identity(labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in IDENTIFYING)


def info(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
    names, data = info_matchers(call)
    base = evaluation.vector(call.args[0], times)
    series = _index(evaluation.info_times(call, times))
    wanted = {matcher.name for matcher in data}
    required = any(not matcher.matches("") for matcher in data)
    labels: list[Labels] = []
    source: list[int] = []
    present = []
    for row, row_labels in enumerate(base.labels):
        if METRIC_NAME in row_labels and matches_all(row_labels, names):
            labels.append(row_labels)
            source.append(row)
            present.append(base.present[row])
            continue
        for choice, there in _choices(series.chosen(row_labels), times.size):
            if choice or not required:
                labels.append(_enriched(row_labels, [series.vector.labels[index] for index in choice], wanted))
                source.append(row)
                present.append(base.present[row] & there)
    if not labels:
        return empty_vector(times.size)
    rows = np.array(source, dtype=np.int64)
    drops_name = pick_rows(base.drops_name, rows)
    return merge_rows(Vector(labels, base.values[rows], np.stack(present), drops_name).compact())


def _index(vector: Vector) -> _InfoSeries:
    rows: dict[str, dict[tuple[str, ...], list[int]]] = {}
    for row, labels in enumerate(vector.labels):
        rows.setdefault(labels.get(METRIC_NAME, ""), {}).setdefault(identity(labels), []).append(row)
    return _InfoSeries(vector, rows)


def _choices(chosen: Ints, steps: int) -> list[tuple[list[int], np.ndarray]]:
    """The distinct sets of info series over the steps, each with the steps at which it applies."""
    if not chosen.size:
        return [([], np.ones(steps, dtype=bool))]
    combinations, of_step = np.unique(chosen, axis=1, return_inverse=True)
    return [
        ([int(row) for row in combinations[:, index] if row >= 0], of_step.reshape(-1) == index)
        for index in range(combinations.shape[1])
    ]


def _enriched(labels: Labels, infos: list[Labels], wanted: set[str]) -> Labels:
    added: Labels = {}
    for info_labels in infos:
        for name, value in info_labels.items():
            if name in (METRIC_NAME, *IDENTIFYING) or labels.get(name) or (wanted and name not in wanted):
                continue
            if added.get(name, value) != value:
                raise EvalError(f"conflicting label: {name}")
            added[name] = value
    return {**labels, **added}


INFO: dict[str, Special] = {"info": info}
